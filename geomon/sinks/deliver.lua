-- Deliver alerts, in the order given, each of them whole or not at all and each id once.
--
-- KEYS  1: the log stream; then two an alert: the person's delivered hash and open hash
-- ARGV  1: channel for all districts; 2: newest entries to keep in the log, about ("" = all);
--       3: seconds to remember a quiet person's delivered numbers; 4: "live", or for what is put
--       back after it was lost: "log" (of the present only ends are entered) or "present" (what was
--       open at its end, though it is in the log by now); then nine an alert:
--       id, type, subject, event (JSON), district ("" = unknown), kind, phase, episode, number
-- What is put back rings on no screen, and its entry in the log has a field more: restored.
-- Returns {alerts newly logged, what PUBLISH or EXPIRE complained of ("" = nothing)}, or the error
-- that stopped it: the alerts before that one are delivered, that one and those after it are not.
--
-- Redis runs nothing else meanwhile, but it does not take back what a failed script has written. So
-- whatever can fail is asked before the first write, and the writes after it are undone by hand.

local log, channel, log_max_len, memory_s, mode = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local complaint = ''

local function failure(reply)
  if type(reply) == 'table' and reply.err then return reply end
end

local function must_be(key, wanted)
  local found = redis.call('TYPE', key).ok
  if found ~= wanted and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. wanted)
  end
end

local function restore(key, field, value)
  if value then redis.pcall('HSET', key, field, value) else redis.pcall('HDEL', key, field) end
end

local function uncritical(...)
  local failed = failure(redis.pcall(...))
  if failed then complaint = failed.err end
end

-- What is remembered of an episode: the highest number delivered and, after a semicolon, the gaps
-- below it ("4", "4;2" or "9;1-3,6"; the 64 newest are kept). Numbers come in order unless two
-- workers hold one person for a moment, or a worker goes on where the numbers before were lost; a
-- plain maximum would then take the late one for a repeat: a loss.
local function recall(text)
  local highest, gaps = 0, {}
  if text then
    highest = tonumber(text:match('^%d+')) or 0
    for first, last in (text:match(';(.*)') or ''):gmatch('(%d+)%-?(%d*)') do
      gaps[#gaps + 1] = {first + 0, tonumber(last) or first + 0}
    end
  end
  return highest, gaps
end

-- The memory with this number added, and whether it is the newest; nothing at all for a repeat.
local function remember(text, number)
  local highest, gaps = recall(text)
  local kept = {}
  local function keep(first, last)
    if first < last then kept[#kept + 1] = string.format('%d-%d', first, last) end
    if first == last then kept[#kept + 1] = string.format('%d', first) end
  end
  local found = number > highest
  for _, gap in ipairs(gaps) do
    if gap[1] <= number and number <= gap[2] then
      found = true
      keep(gap[1], number - 1)
      keep(number + 1, gap[2])
    else
      keep(gap[1], gap[2])
    end
  end
  if not found then return nil end
  if number > highest then
    keep(highest + 1, number - 1)
    highest = number
  end
  local after = string.format('%d', highest)
  if #kept > 0 then after = after .. ';' .. table.concat(kept, ',', math.max(1, #kept - 63)) end
  return after, number == highest
end

local function episode_of(event)
  local readable, alert = pcall(cjson.decode, event)
  if readable and type(alert) == 'table' and type(alert.data) == 'table' then
    return alert.data.episode
  end
end

-- An episode's name ends in the time it began: UTC in whole seconds, so text order is time order.
local function began(episode)
  return episode:match('[^/]*$')
end

-- Change the person's present by the newest alert of an episode; returns an error or nothing.
local function change_present(open, kind, phase, episode, event, present)
  local current = present and episode_of(present)
  if phase == 'closed' then
    -- An episode withdrawn after a newer one of its kind opened must not hide the newer.
    if not present or (current and current ~= episode) then return end
    return failure(redis.pcall('HDEL', open, kind))
  end
  if current and current ~= episode and began(current) > began(episode) then
    -- News of an absence that was over before this one began: a band's memory may bring it late,
    -- opened and closed at once. What is present stays.
    return
  end
  return failure(redis.pcall('HSET', open, kind, event))
end

local function deliver(delivered, open, id, kind_of_event, subject, event, district, kind, phase,
                       episode, number)
  local wrong = must_be(log, 'stream') or must_be(delivered, 'hash') or must_be(open, 'hash')
  if wrong then return wrong end

  local before = redis.call('HGET', delivered, episode)
  local after, newest = remember(before, tonumber(number))
  local present = redis.call('HGET', open, kind)
  if not after then
    -- A repeat: no second entry in the log, no second ring on a screen.
    if mode == 'present' and recall(before) == tonumber(number) then
      return change_present(open, kind, phase, episode, event, present)
    end
    return
  end

  -- The first write: out of memory, read-only and cannot-persist are refused here, with nothing done.
  local failed = failure(redis.pcall('HSET', delivered, episode, after))
  if failed then return failed end
  if newest and (mode ~= 'log' or phase == 'closed') then
    failed = change_present(open, kind, phase, episode, event, present)
  end
  if not failed then
    local entry = {'*', 'id', id, 'type', kind_of_event, 'subject', subject, 'event', event}
    if mode ~= 'live' then
      entry[#entry + 1], entry[#entry + 2] = 'restored', '1'
    end
    if log_max_len == '' then
      failed = failure(redis.pcall('XADD', log, unpack(entry)))
    else
      failed = failure(redis.pcall('XADD', log, 'MAXLEN', '~', log_max_len, unpack(entry)))
    end
  end
  if failed then
    -- Else the id would count as delivered and never reach the log: an alert lost.
    restore(open, kind, present)
    restore(delivered, episode, before)
    return failed
  end

  -- The alert is on record. Screens are served at most once: a missing right to publish is reported
  -- by the caller, and must not keep later alerts from the record.
  uncritical('EXPIRE', delivered, memory_s)
  if mode == 'live' then
    uncritical('PUBLISH', channel, event)
    if district ~= '' then uncritical('PUBLISH', channel .. ':' .. district, event) end
  end
  return true
end

local logged = 0
for i = 1, (#KEYS - 1) / 2 do
  local at = 4 + (i - 1) * 9
  local outcome = deliver(KEYS[2 * i], KEYS[2 * i + 1], unpack(ARGV, at + 1, at + 9))
  if outcome == true then
    logged = logged + 1
  elseif outcome then
    return outcome
  end
end
return {logged, complaint}
