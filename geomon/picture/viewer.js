"use strict";
/* The page's viewer: one map, one overview and one timeline for the chosen case.
 * Everything it draws is in the page's own data element; it asks nothing of any network.
 * World units are degrees of longitude east of the city's middle and, northwards, Mercator degrees:
 * so the scale is true (1/cos(lat)) wherever one looks. Times are seconds since 1970, UTC. */
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const mapCanvas = byId("map"), insetCanvas = byId("inset"), timeCanvas = byId("time"), tip = byId("tip");
const FONT = getComputedStyle(document.body).fontFamily;
const INK = "#1d2733", HALO = "#ffffffd9", STEP = 1e-5, GUTTER = 128, AXIS = 24, ROW = 22;
const mercator = (lat) => Math.log(Math.tan(Math.PI / 4 + lat * Math.PI / 360)) * 180 / Math.PI;
const unmercator = (y) => Math.atan(Math.sinh(y * Math.PI / 180)) * 180 / Math.PI;
const [lon0, lat0] = data.origin, y0 = mercator(lat0);
const worldX = (lon) => lon - lon0, worldY = (lat) => mercator(lat) - y0;

/* ---- unpacking: whole numbers, each the difference to the one before ---- */
function summed(deltas) {
  const out = new Float64Array(deltas.length);
  for (let i = 0, sum = 0; i < deltas.length; i++) out[i] = sum += deltas[i];
  return out;
}
function outline(rings) {
  const path = new Path2D(), box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    let lon = 0, lat = 0;
    for (let i = 0; i < ring.length; i += 2) {
      lon += ring[i]; lat += ring[i + 1];
      const x = worldX(lon * STEP), y = worldY(lat * STEP);
      if (i) path.lineTo(x, y); else path.moveTo(x, y);
      box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
    }
    path.closePath();
  }
  return { path, box };
}
const ground = data.ground.map((g) => ({ ...g, ...outline(g.rings), x: worldX(g.at[0]), y: worldY(g.at[1]) }));
const city = outline(data.city);
const cases = data.cases.map((c) => {
  const n = c.time.length, lon = summed(c.lon), lat = summed(c.lat);
  const x = new Float64Array(n), y = new Float64Array(n);
  for (let i = 0; i < n; i++) { x[i] = worldX(lon[i] * STEP); y[i] = worldY(lat[i] * STEP); }
  for (const e of c.episodes)
    for (const spot of [e.opened, e.closed]) if (spot) { spot.x = worldX(spot.lon); spot.y = worldY(spot.lat); }
  return { ...c, n, x, y, t: summed(c.time), standing: [...c.standing].map(Number), firm: [...c.firm].map((f) => f === "1") };
});

/* ---- what is shown now ---- */
let shown = null, view = null, framed = null, range = null, cursor = null, chosen = null, wide = false, lines = null;

const two = (n) => String(n).padStart(2, "0");
const local = (t) => new Date((t + data.offset_s) * 1000);
function stamp(t) {
  const d = local(t);
  return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
}
function lasting(s) {
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${(s / 3600).toFixed(1)} h` : `${(s / 86400).toFixed(1)} days`;
}

/* ---- canvases ---- */
function surface(canvas) {
  const ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { ctx, w, h, ratio };
}
function fitted(canvas, [west, south, east, north], margin = 0, left = 0) {
  const x1 = worldX(west), x2 = worldX(east), y1 = worldY(south), y2 = worldY(north);
  const w = canvas.clientWidth - 2 * margin - left, h = canvas.clientHeight - 2 * margin;
  const k = Math.min(w / Math.max(x2 - x1, 1e-3), h / Math.max(y2 - y1, 1e-3));
  return { x: (x1 + x2) / 2 - left / 2 / k, y: (y1 + y2) / 2, k };
}

/* ---- the track's lines, as paths in world units: by standing, solid or dashed ---- */
function trackLines() {
  const made = data.standings.map(() => ({ solid: new Path2D(), dashed: new Path2D() }));
  const faded = new Path2D(), last = new Map();
  for (let i = 0; i < shown.n; i++) {
    if (!shown.firm[i]) continue;
    const device = shown.device[i], from = last.get(device);
    last.set(device, i);
    if (from === undefined) continue;
    const seen = shown.t[i] >= range[0] && shown.t[from] <= range[1];
    const set = made[Math.max(shown.standing[i], shown.standing[from])];
    const path = !seen ? faded : shown.t[i] - shown.t[from] > data.silence_s ? set.dashed : set.solid;
    path.moveTo(shown.x[from], shown.y[from]);
    path.lineTo(shown.x[i], shown.y[i]);
  }
  return { made, faded };
}

function drawMap(canvas, at, isInset) {
  const { ctx, w, h, ratio } = surface(canvas);
  const { x, y, k } = at, px = (wx) => (wx - x) * k + w / 2, py = (wy) => h / 2 - (wy - y) * k;
  const inWorld = () => ctx.setTransform(k * ratio, 0, 0, -k * ratio, (w / 2 - x * k) * ratio, (h / 2 + y * k) * ratio);
  const onScreen = () => ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  const width = (pixels) => { ctx.lineWidth = pixels / k; };
  const far = k < 120; // pixels a degree: below this, districts say nothing
  ctx.fillStyle = "#dcebf3"; ctx.fillRect(0, 0, w, h);
  inWorld(); ctx.lineJoin = ctx.lineCap = "round"; ctx.setLineDash([]);
  const left = x - w / 2 / k, right = x + w / 2 / k, low = y - h / 2 / k, high = y + h / 2 / k;
  const visible = (b) => b[2] > left && b[0] < right && b[3] > low && b[1] < high;
  for (const g of ground) {
    if (g.level === "district" || !visible(g.box)) continue;
    ctx.fillStyle = "#f7f6f1"; ctx.fill(g.path, "evenodd");
    ctx.strokeStyle = g.level === "province" ? "#aab3ba" : far ? "#e0e2df" : "#c9cfd2";
    width(g.level === "province" ? 1.3 : 1); ctx.stroke(g.path);
  }
  if (far) for (const g of ground) if (g.level === "province" && visible(g.box)) {
    ctx.strokeStyle = "#aab3ba"; width(1.1); ctx.stroke(g.path);
  }
  ctx.fillStyle = "#e9f1fb"; ctx.fill(city.path, "evenodd");
  if (!far) {
    ctx.strokeStyle = "#a9bfd6"; width(1);
    for (const g of ground) if (g.level === "district") ctx.stroke(g.path);
  }
  ctx.strokeStyle = "#ffffff"; width(isInset || far ? 2 : 4.5); ctx.stroke(city.path);
  ctx.strokeStyle = "#21476e"; width(isInset || far ? 1.2 : 2); ctx.stroke(city.path);

  const thick = isInset ? 1.6 : 2.2;
  ctx.strokeStyle = "#9aa4ad55"; width(1); ctx.stroke(lines.faded);
  data.standings.forEach((s, i) => {
    const { solid, dashed } = lines.made[i];
    ctx.strokeStyle = HALO; width(thick + 2); ctx.stroke(solid);
    ctx.strokeStyle = s.colour; width(thick - 0.6);
    ctx.setLineDash([5 / k, 5 / k]); ctx.stroke(dashed); ctx.setLineDash([]);
    width(thick); ctx.stroke(solid);
  });
  onScreen();
  if (!isInset) for (let i = 0; i < shown.n; i++) {
    const sx = px(shown.x[i]), sy = py(shown.y[i]);
    if (sx < -5 || sy < -5 || sx > w + 5 || sy > h + 5) continue;
    const seen = shown.t[i] >= range[0] && shown.t[i] <= range[1];
    ctx.beginPath(); ctx.arc(sx, sy, shown.firm[i] ? 2.3 : 2.8, 0, 7);
    if (shown.firm[i]) { ctx.fillStyle = seen ? data.standings[shown.standing[i]].colour : "#9aa4ad40"; ctx.fill(); }
    else if (seen) { ctx.strokeStyle = data.standings[shown.standing[i]].colour + "66"; ctx.lineWidth = 1; ctx.stroke(); }
  }
  const taken = [];
  drawMarks(ctx, px, py, isInset, taken);
  drawCursor(ctx, px, py, k, isInset);
  if (!isInset) drawScale(ctx, w, h, k, y);
  drawLabels(ctx, px, py, w, h, k, far, isInset, taken);
  if (isInset) {
    const bx = px(view.x - mapCanvas.clientWidth / 2 / view.k), by = py(view.y + mapCanvas.clientHeight / 2 / view.k);
    const bw = mapCanvas.clientWidth / view.k * k, bh = mapCanvas.clientHeight / view.k * k;
    if (bw < w * 1.5) { ctx.strokeStyle = "#21476e"; ctx.lineWidth = 1; ctx.strokeRect(bx, by, Math.max(bw, 4), Math.max(bh, 4)); }
  }
}

/* Opened: a full disc with the alert's number. Closed: the same number in a ring. */
function drawMarks(ctx, px, py, isInset, taken) {
  const r = isInset ? 7 : 10.5;
  for (const e of shown.episodes) {
    const spots = [[e.opened, true], [e.closed, false]];
    for (const [spot, full] of spots) {
      if (!spot || (chosen ? chosen !== e : e.withdrawn)) continue;
      const x = px(spot.x), y = py(spot.y);
      let sx = x, sy = y - (isInset ? 0 : r + 6);
      while (taken.some((b) => Math.abs(b[0] - sx) < 2 * r && Math.abs(b[1] - sy) < 2 * r)) sx += 2 * r + 1;
      taken.push([sx, sy, r]);
      if (!isInset) {
        ctx.strokeStyle = e.colour; ctx.lineWidth = 1.6;
        ctx.beginPath(); ctx.moveTo(x, y); ctx.lineTo(sx, sy); ctx.stroke();
        ctx.beginPath(); ctx.arc(x, y, 3, 0, 7); ctx.fillStyle = "#fff"; ctx.fill(); ctx.stroke();
      }
      ctx.beginPath(); ctx.arc(sx, sy, r + 1.5, 0, 7); ctx.fillStyle = "#fff"; ctx.fill();
      ctx.beginPath(); ctx.arc(sx, sy, r, 0, 7);
      ctx.fillStyle = full ? e.colour : "#fff"; ctx.fill();
      ctx.strokeStyle = e.colour; ctx.lineWidth = 2.4; ctx.stroke();
      ctx.fillStyle = full ? "#fff" : e.colour; ctx.font = `700 ${isInset ? 9 : 12}px ${FONT}`;
      ctx.textAlign = "center"; ctx.textBaseline = "middle"; ctx.fillText(e.number, sx, sy + 0.5);
    }
  }
}

function drawLabels(ctx, px, py, w, h, k, far, isInset, taken) {
  const boxes = taken.map(([x, y, r]) => [x - r, y - r, x + r, y + r]);
  ctx.textAlign = "center"; ctx.textBaseline = "middle"; ctx.lineJoin = "round";
  const put = (text, x, y, size, colour, weight) => {
    ctx.font = `${weight} ${size}px ${FONT}`;
    const half = ctx.measureText(text).width / 2 + 3, box = [x - half, y - size * 0.7, x + half, y + size * 0.7];
    if (box[0] < 2 || box[2] > w - 2 || box[1] < 2 || box[3] > h - 2) return;
    if (boxes.some((b) => b[0] < box[2] && b[2] > box[0] && b[1] < box[3] && b[3] > box[1])) return;
    boxes.push(box);
    ctx.strokeStyle = HALO; ctx.lineWidth = 3; ctx.strokeText(text, x, y);
    ctx.fillStyle = colour; ctx.fillText(text, x, y);
  };
  if (far) put(data.city_name, px((city.box[0] + city.box[2]) / 2), py(city.box[1]) + (isInset ? 9 : 14), isInset ? 10 : 13, "#21476e", 700);
  for (const g of ground) {
    const room = (g.box[2] - g.box[0]) * k;
    if (g.level === "district" && !far && k > 500) put(g.label, px(g.x), py(g.y), 12, "#3f6288", 500);
    if (g.level === "province" && (far || g.alone)) put(far && isInset ? g.name || g.label : g.label, px(g.x), py(g.y), isInset ? 10 : 13, "#737d86", 600);
    if (g.level === "city" && !isInset && room > 130) put(g.label, px(g.x), py(g.y), far ? 11 : 13, "#7b858e", far ? 400 : 600);
  }
}

function drawScale(ctx, w, h, k, y) {
  const metresAPixel = 111320 * Math.cos(unmercator(y + y0) * Math.PI / 180) / k;
  const goal = metresAPixel * 110, power = 10 ** Math.floor(Math.log10(goal));
  const length = [5, 2, 1].map((f) => f * power).find((m) => m <= goal);
  const pixels = length / metresAPixel, start = w - 14 - pixels, text = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  for (const colour of [HALO, INK]) {
    ctx.strokeStyle = colour; ctx.lineWidth = colour === INK ? 1.5 : 4;
    ctx.beginPath(); ctx.moveTo(start, h - 20); ctx.lineTo(start, h - 14); ctx.lineTo(start + pixels, h - 14); ctx.lineTo(start + pixels, h - 20); ctx.stroke();
  }
  ctx.font = `11px ${FONT}`; ctx.textAlign = "left"; ctx.textBaseline = "alphabetic";
  ctx.lineWidth = 3; ctx.strokeStyle = HALO; ctx.strokeText(text, start + 5, h - 19); ctx.fillStyle = INK; ctx.fillText(text, start + 5, h - 19);
}

/* Where the person was at the pointed-at time: the last fix a line may pass through. */
function fixAt(t) {
  let low = 0, high = shown.n;
  while (low < high) { const mid = (low + high) >> 1; if (shown.t[mid] <= t) low = mid + 1; else high = mid; }
  for (let i = low - 1; i >= 0; i--) if (shown.firm[i]) return i;
  return -1;
}
function drawCursor(ctx, px, py, k, isInset) {
  if (cursor === null) return;
  const i = cursor.fix ?? fixAt(cursor.t);
  if (i < 0) return;
  const x = px(shown.x[i]), sy = py(shown.y[i]), stale = cursor.t - shown.t[i] > data.silence_s;
  const colour = data.standings[shown.standing[i]].colour;
  if (shown.accuracy[i] && !isInset) {
    const lat = unmercator(shown.y[i] + y0), r = shown.accuracy[i] / (111320 * Math.cos(lat * Math.PI / 180)) * k;
    ctx.beginPath(); ctx.arc(x, sy, r, 0, 7); ctx.fillStyle = colour + "22"; ctx.fill();
    ctx.strokeStyle = colour + "88"; ctx.lineWidth = 1; ctx.stroke();
  }
  ctx.beginPath(); ctx.arc(x, sy, isInset ? 4 : 7, 0, 7); ctx.fillStyle = stale ? "#fff" : colour; ctx.fill();
  ctx.strokeStyle = stale ? colour : "#fff"; ctx.lineWidth = 2.5; ctx.stroke();
  ctx.beginPath(); ctx.arc(x, sy, isInset ? 5.5 : 9, 0, 7); ctx.strokeStyle = INK; ctx.lineWidth = 1.2; ctx.stroke();
  if (cursor.fix === undefined && !isInset) {
    const text = stale ? `last known, ${lasting(cursor.t - shown.t[i])} before` : stamp(shown.t[i]).slice(5, 16);
    ctx.font = `600 12px ${FONT}`; ctx.textAlign = "left"; ctx.textBaseline = "middle";
    ctx.strokeStyle = HALO; ctx.lineWidth = 4; ctx.strokeText(text, x + 14, sy); ctx.fillStyle = INK; ctx.fillText(text, x + 14, sy);
  }
}

/* ---- timeline ---- */
const timeX = (t) => GUTTER + (t - range[0]) / (range[1] - range[0]) * (timeCanvas.clientWidth - GUTTER - 12);
const timeAt = (x) => range[0] + (x - GUTTER) / (timeCanvas.clientWidth - GUTTER - 12) * (range[1] - range[0]);
function timeRows() {
  const rows = [{ label: "Position 位置" }];
  if (shown.leaves.length) rows.push({ label: "Leave 外出", leaves: shown.leaves });
  for (const e of shown.episodes) {
    let row = rows.find((r) => r.kind === e.kind);
    if (!row) rows.push(row = { kind: e.kind, label: e.label || e.kind, colour: e.colour, episodes: [] });
    row.episodes.push(e);
  }
  return rows;
}
function drawTime() {
  const rows = timeRows();
  timeCanvas.style.height = `${AXIS + rows.length * ROW + 8}px`;
  const { ctx, w, h } = surface(timeCanvas);
  ctx.clearRect(0, 0, w, h); ctx.setLineDash([]);
  const right = w - 12, steps = [60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 345600, 604800, 1209600, 2592000];
  const perSecond = (right - GUTTER) / (range[1] - range[0]);
  const step = steps.find((s) => s * perSecond >= 62) || 2592000;
  ctx.font = `11px ${FONT}`; ctx.textAlign = "center"; ctx.textBaseline = "middle";
  for (let t = Math.ceil((range[0] + data.offset_s) / step) * step - data.offset_s; t <= range[1]; t += step) {
    const x = Math.round(timeX(t)) + 0.5, text = stamp(t), day = text.slice(11) === "00:00:00";
    ctx.strokeStyle = day ? "#dde3e8" : "#eef1f4"; ctx.lineWidth = 1;
    ctx.beginPath(); ctx.moveTo(x, AXIS - 4); ctx.lineTo(x, h); ctx.stroke();
    ctx.fillStyle = day ? INK : "#5d6975"; ctx.font = `${day ? 600 : 400} 11px ${FONT}`;
    ctx.fillText(day ? text.slice(5, 10) : text.slice(11, 16), x, AXIS / 2);
  }
  ctx.textAlign = "left"; ctx.fillStyle = "#5d6975"; ctx.font = `11px ${FONT}`;
  ctx.fillText(`${stamp(range[0]).slice(0, 4)} · ${data.zone}`, 10, AXIS / 2);
  const bar = (t1, t2, y, height, colour) => {
    const x1 = Math.max(timeX(t1), GUTTER), x2 = Math.min(timeX(t2), right);
    if (x2 < GUTTER || x1 > right || x2 < x1) return null;
    ctx.fillStyle = colour; ctx.fillRect(x1, y, Math.max(x2 - x1, 1.5), height);
    return [x1, x2];
  };
  rows.forEach((row, index) => {
    const top = AXIS + index * ROW, mid = top + ROW / 2;
    ctx.strokeStyle = "#eef1f4"; ctx.beginPath(); ctx.moveTo(0, top + 0.5); ctx.lineTo(w, top + 0.5); ctx.stroke();
    ctx.fillStyle = row.colour || INK; ctx.font = `600 12px ${FONT}`; ctx.textAlign = "left"; ctx.fillText(row.label, 10, mid);
    if (index === 0) {
      bar(range[0], range[1], top + 9, 4, "#eceff2");
      for (const [t1, t2, standing] of shown.bars) bar(t1, t2, top + 4, ROW - 8, data.standings[standing].colour);
    }
    for (const leave of row.leaves || []) {
      const drawn = bar(leave.start, leave.until, top + 4, ROW - 8, "#bfe5d6");
      if (!drawn) continue;
      ctx.strokeStyle = "#00946c"; ctx.lineWidth = 1; ctx.strokeRect(drawn[0] + 0.5, top + 4.5, Math.max(drawn[1] - drawn[0] - 1, 1), ROW - 9);
      ctx.save(); ctx.beginPath(); ctx.rect(drawn[0], top, drawn[1] - drawn[0], ROW); ctx.clip();
      ctx.fillStyle = "#00553e"; ctx.font = `11px ${FONT}`; ctx.fillText(leave.label, drawn[0] + 5, mid); ctx.restore();
    }
    for (const e of row.episodes || []) {
      const fade = chosen && chosen !== e ? "55" : "";
      if (e.moment) {
        const x = timeX(e.since);
        if (x < GUTTER || x > right) continue;
        ctx.fillStyle = e.colour + fade; ctx.beginPath();
        ctx.moveTo(x, mid - 6); ctx.lineTo(x + 6, mid); ctx.lineTo(x, mid + 6); ctx.lineTo(x - 6, mid); ctx.fill();
        continue;
      }
      const end = e.until ?? shown.span[1], drawn = bar(e.since, end, top + 4, ROW - 8, e.colour + (fade || (e.until ? "" : "b0")));
      if (!drawn) continue;
      if (e.withdrawn) { // taken back by later evidence: it was said, so it is shown, but hollow
        ctx.fillStyle = "#fff"; ctx.fillRect(drawn[0] + 1.5, top + 5.5, Math.max(drawn[1] - drawn[0] - 3, 0), ROW - 11);
      }
      const seen = timeX(e.detected);
      if (seen - 4 >= drawn[0] && seen <= right) { // when the system decided: a notch in the bar
        ctx.fillStyle = "#fff"; ctx.beginPath(); ctx.moveTo(seen - 4, top + 4); ctx.lineTo(seen + 4, top + 4); ctx.lineTo(seen, top + 10); ctx.fill();
        ctx.strokeStyle = e.colour; ctx.lineWidth = 1; ctx.stroke();
      }
      ctx.font = `700 11px ${FONT}`; ctx.textAlign = "left";
      const text = e.until ? `${e.number}` : `${e.number}  still open 未结束`, size = ctx.measureText(text).width;
      const inside = drawn[1] - drawn[0] > size + 22;
      ctx.fillStyle = inside && !e.withdrawn ? "#fff" : e.colour; ctx.fillText(text, inside ? drawn[0] + 12 : drawn[1] + 4, mid + 0.5);
    }
  });
  if (cursor !== null && cursor.t >= range[0] && cursor.t <= range[1]) {
    const x = timeX(cursor.t), text = stamp(cursor.t).slice(5, 16);
    ctx.strokeStyle = INK; ctx.lineWidth = 1; ctx.beginPath(); ctx.moveTo(x, AXIS - 2); ctx.lineTo(x, h); ctx.stroke();
    ctx.font = `600 11px ${FONT}`; ctx.textAlign = "center";
    const half = ctx.measureText(text).width / 2 + 6, cx = Math.min(Math.max(x, GUTTER + half), right - half);
    ctx.fillStyle = INK; ctx.fillRect(cx - half, 3, 2 * half, AXIS - 6); ctx.fillStyle = "#fff"; ctx.fillText(text, cx, AXIS / 2);
  }
}

function draw() {
  lines = lines || trackLines();
  drawTime();
  // Until a hand moves the map, it keeps its frame in whatever size the window takes.
  if (framed) view = fitted(mapCanvas, framed, 6, insetCanvas.hidden || wide ? 0 : insetCanvas.clientWidth * 0.6);
  drawMap(mapCanvas, view, false);
  if (!insetCanvas.hidden) drawMap(insetCanvas, fitted(insetCanvas, wide ? shown.frame : shown.journey), true);
  document.body.dataset.drawn = shown.id; // so that a test of the page can see that it was drawn
}
let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

/* ---- choosing ---- */
function look(frame, isWide) { wide = isWide; framed = frame; redraw(); }
function setRange(from, until) {
  const [first, last] = shown.span, length = Math.min(Math.max(until - from, 300), last - first);
  const start = Math.min(Math.max(from, first), last - length);
  range = [start, start + length]; lines = null; redraw();
}
function choose(episode) {
  chosen = episode;
  document.querySelectorAll(".alert").forEach((card) => card.setAttribute("aria-pressed", String(!!episode && card.dataset.episode === episode.key)));
  if (!episode) { setRange(...shown.span); look(shown.frame, false); return; }
  const end = episode.until ?? shown.span[1], margin = Math.max((end - episode.since) * 0.15, 1800);
  setRange(episode.since - margin, end + margin);
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  const add = (x, y) => { box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y); box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y); };
  for (const spot of [episode.opened, episode.closed]) if (spot) add(spot.x, spot.y);
  for (let i = 0; i < shown.n; i++) if (shown.firm[i] && shown.t[i] >= episode.since && shown.t[i] <= end) add(shown.x[i], shown.y[i]);
  if (box[0] > box[2]) { look(shown.frame, false); return; }
  const pad = Math.max(box[2] - box[0], box[3] - box[1]) * 0.15 + 0.015;
  look([box[0] - pad + lon0, unmercator(box[1] - pad + y0), box[2] + pad + lon0, unmercator(box[3] + pad + y0)], box[2] - box[0] > 2 || box[3] - box[1] > 2);
}
function show(index) {
  shown = cases[index]; chosen = null; cursor = null; lines = null; range = [...shown.span];
  document.querySelectorAll("[role=tab]").forEach((tab, i) => { tab.setAttribute("aria-selected", String(i === index)); tab.tabIndex = i === index ? 0 : -1; });
  document.querySelectorAll("aside section").forEach((section, i) => { section.hidden = i !== index; });
  document.querySelectorAll(".alert").forEach((card) => card.setAttribute("aria-pressed", "false"));
  insetCanvas.hidden = byId("journey").hidden = !shown.journey;
  timeCanvas.style.height = `${AXIS + timeRows().length * ROW + 8}px`;
  look(shown.frame, false);
}

/* ---- hands ---- */
function zoom(factor, x, y) {
  const w = mapCanvas.clientWidth, h = mapCanvas.clientHeight, cx = x ?? w / 2, cy = y ?? h / 2;
  framed = null;
  const k = Math.min(Math.max(view.k * factor, 8), 4e6);
  view = { k, x: view.x + (cx - w / 2) * (1 / view.k - 1 / k), y: view.y - (cy - h / 2) * (1 / view.k - 1 / k) };
  redraw();
}
function pointAt(event) { const r = event.target.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; }
function point(x, y) {
  const w = mapCanvas.clientWidth, h = mapCanvas.clientHeight;
  let best = -1, nearest = 144;
  for (let i = 0; i < shown.n; i++) {
    if (shown.t[i] < range[0] || shown.t[i] > range[1]) continue;
    const dx = (shown.x[i] - view.x) * view.k + w / 2 - x, dy = h / 2 - (shown.y[i] - view.y) * view.k - y;
    if (dx * dx + dy * dy < nearest) { nearest = dx * dx + dy * dy; best = i; }
  }
  if (best < 0) { tip.hidden = true; if (cursor) { cursor = null; redraw(); } return; }
  cursor = { t: shown.t[best], fix: best };
  const standing = data.standings[shown.standing[best]], accuracy = shown.accuracy[best];
  tip.textContent = `${stamp(shown.t[best])}\n${standing.label} ${standing.zh}\n${shown.devices[shown.device[best]]} · ${shown.sources[shown.source[best]]}${accuracy ? ` · ±${accuracy} m` : ""}`;
  tip.hidden = false;
  tip.style.left = `${x + 16 + tip.offsetWidth > w ? x - 16 - tip.offsetWidth : x + 16}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 12, h - tip.offsetHeight - 4))}px`;
  redraw();
}
function draggable(canvas, move, hover, leave) {
  let from = null;
  canvas.addEventListener("pointerdown", (e) => { from = pointAt(e); canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("pointercancel", () => { from = null; });
  canvas.addEventListener("pointermove", (e) => {
    const [x, y] = pointAt(e);
    if (from) { move(x - from[0], y - from[1]); from = [x, y]; } else hover(x, y);
  });
  canvas.addEventListener("pointerleave", () => { from = null; leave(); });
}
const forget = () => { cursor = null; tip.hidden = true; redraw(); };
draggable(mapCanvas, (dx, dy) => { tip.hidden = true; framed = null; view = { ...view, x: view.x - dx / view.k, y: view.y + dy / view.k }; redraw(); }, point, forget);
draggable(timeCanvas,
  (dx) => { const seconds = timeAt(GUTTER + dx) - range[0]; setRange(range[0] - seconds, range[1] - seconds); },
  (x) => { cursor = x < GUTTER ? null : { t: Math.min(Math.max(timeAt(x), range[0]), range[1]) }; redraw(); }, forget);
mapCanvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(-e.deltaY * 0.0016), ...pointAt(e)); }, { passive: false });
timeCanvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const t = timeAt(Math.max(pointAt(e)[0], GUTTER)), factor = Math.exp(e.deltaY * 0.0016);
  setRange(t - (t - range[0]) * factor, t + (range[1] - t) * factor);
}, { passive: false });
mapCanvas.addEventListener("dblclick", () => look(shown.frame, false));
timeCanvas.addEventListener("dblclick", () => choose(null));
insetCanvas.addEventListener("click", () => look(wide ? shown.frame : shown.journey, !wide));
byId("home").addEventListener("click", () => look(shown.frame, false));
byId("journey").addEventListener("click", () => look(shown.journey, true));
byId("closer").addEventListener("click", () => zoom(1.6));
byId("wider").addEventListener("click", () => zoom(1 / 1.6));
const tabs = [...document.querySelectorAll("[role=tab]")];
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => show(i));
  tab.addEventListener("keydown", (e) => {
    const turn = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (turn) { const next = (i + turn + tabs.length) % tabs.length; show(next); tabs[next].focus(); }
  });
});
document.querySelectorAll(".alert").forEach((card) => {
  const toggle = () => { const e = shown.episodes.find((one) => one.key === card.dataset.episode); choose(e === chosen ? null : e); };
  card.addEventListener("click", toggle);
  card.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); toggle(); } });
});
document.addEventListener("keydown", (e) => { if (e.key === "Escape") choose(null); });

/* "#2" opens the second case: a link may point at one. */
const asked = Number(location.hash.slice(1)) - 1;
show(cases[asked] ? asked : 0);
draw();
// At once and not in the next frame: a canvas stretched to its new size would be seen for a moment.
const watcher = new ResizeObserver(draw);
watcher.observe(mapCanvas); watcher.observe(timeCanvas);
