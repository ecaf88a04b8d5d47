"""Why an event or a fix is refused: one code for each reason, the same in every place."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["REASONS"]

#: Why an event or a fix is refused. Code: (English, 中文).
REASONS: Mapping[str, tuple[str, str]] = {
    "too_large": ("the message is larger than 1 MiB", "消息超过1MiB"),
    "not_utf8": ("the bytes are not UTF-8", "不是UTF-8编码"),
    "broken_json": ("the text is not JSON", "不是合法JSON"),
    "too_deep": ("objects are nested too deeply", "嵌套过深"),
    "not_an_object": ("the JSON value is not an object", "不是JSON对象"),
    "unknown_type": ("`type` is not one of the contract's", "未知事件类型"),
    "missing_field": ("a required field is missing", "缺少必填字段"),
    "wrong_type": ("a field has a value of the wrong type", "字段类型错误"),
    "bad_value": ("a field has a value that is not allowed", "字段取值不允许"),
    "bad_id": ("an id is empty, longer than 64 or has spaces, slashes or #", "标识不合法"),
    "reserved_id": (
        "ids that begin with geomon-canary- are for canaries, and only those",
        "标识前缀为系统保留",
    ),
    "bad_time": ("a time is not RFC 3339 with an offset", "时间格式错误或缺少时区"),
    "impossible_time": ("a time lies before 2000 or after 2099", "时间不在2000至2099年之间"),
    "fix_in_future": (
        "the fix is over 5 minutes later than its arrival",
        "定位时间晚于到达时间",
    ),
    "arrival_in_future": (
        "it says it arrived a day after the broker had it, or tells of what is still to come",
        "到达时间晚于当前时间，或所述时间晚于到达时间",
    ),
    "not_finite": ("a number is NaN or infinite", "数值非有限数"),
    "lat_out_of_range": ("latitude beyond 90 degrees", "纬度超出范围"),
    "lon_out_of_range": ("longitude beyond 180 degrees", "经度超出范围"),
    "swapped_lon_lat": ("longitude and latitude look swapped", "经纬度疑似颠倒"),
    "null_island": ("position 0, 0: the device had none", "坐标为0,0"),
    "accuracy_not_positive": ("accuracy_m is zero or negative", "精度不为正数"),
    "datum_undeclared": ("no datum declared: the position cannot be judged", "未声明坐标系"),
    "datum_unknown": ("the datum is not wgs84, gcj02 or bd09", "未知坐标系"),
    "too_many_fixes": (
        "more than 1,000 fixes in one upload, or 10,000 uploads in one message",
        "单次上传定位超过1000个，或单条消息超过10000次上传",
    ),
    "ends_before_it_begins": ("`until` is not after `from`", "结束时间不晚于开始时间"),
    "bad_destination": ("a destination is not a six-digit adcode", "目的地不是六位区划代码"),
    "key_mismatch": ("the message's key is not its supervisee_id", "消息键与人员标识不一致"),
    "too_late": ("the fix is older than the horizon", "定位早于补报时限"),
    "internal_error": ("a defect of geomon: please report it", "系统内部错误，请上报"),
    "unknown_permit": ("a return from a leave that was never announced", "销假对应的请假不存在"),
    "faked_position": (
        "the device says that the position is faked: not judged",
        "设备标明为模拟定位，不予研判",
    ),
    "bad_episode": ("`episode` does not name an episode of this person", "告警标识不合法"),
    "unknown_episode": (
        "an officer dealt with an episode that is not open",
        "处置对应的告警不存在或已解除",
    ),
    "bad_zone": (
        "a zone is not one circle, or one polygon of 3 to 500 corners, of a sensible size",
        "区域形状不合法",
    ),
    "bad_secret": (
        "a secret is not sha256: and 64 hex digits, nor hmac: and 16 to 64 bytes in base64",
        "设备密钥格式不合法",
    ),
    "not_of_protocol": ("the bytes are no message of the device's protocol", "不符合设备协议"),
    "bad_checksum": ("the checksum of a device's message is wrong", "校验码错误"),
    "bad_length": ("a device's message is shorter or longer than it says", "报文长度错误"),
    "not_its_time": (
        "the position is of a time at which the device was not this person's",
        "定位时间不在设备归属期内",
    ),
    "bad_schedule": (
        "a schedule has a day that is not 1 to 7 or a time that is not HH:MM",
        "时间表不合法",
    ),
}
