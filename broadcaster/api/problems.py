"""The one table from error to HTTP: status and words for every code, in Vietnamese and English (RFC 9457).

The English sentence is the error's own; the Vietnamese one is made here from the same facts. A code that is missing
here is a defect, and a test finds it.
"""

from dataclasses import dataclass
from typing import Any, Final

from broadcaster.api.mistakes import recurrence_mistake


@dataclass(frozen=True, slots=True)
class Problem:
    """How one code is told. ``vi`` is a template over the fields of the error."""

    status: int
    title: str
    title_vi: str
    vi: str


PROBLEMS: Final[dict[str, Problem]] = {
    # Who asks
    "not_signed_in": Problem(401, "Not signed in", "Chưa đăng nhập", "Bạn chưa đăng nhập hoặc phiên đã hết hạn; hãy đăng nhập lại."),
    "wrong_credentials": Problem(401, "Wrong name or password", "Sai tên hoặc mật khẩu", "Tên hoặc mật khẩu không đúng; hãy kiểm tra và đăng nhập lại."),
    "not_allowed": Problem(403, "Not allowed", "Không được phép", "Chỉ quản trị viên được làm việc này; hãy nhờ quản trị viên."),
    "wrong_code": Problem(403, "Wrong enrolment code", "Mã đăng ký không đúng", "Mã này không tồn tại, đã dùng hoặc đã hết hạn; hãy xin quản trị viên mã mới."),
    "bad_key": Problem(422, "Unusable key", "Khóa không dùng được", "Khóa công khai của bộ thu không phải khóa Ed25519 dạng JWK (RFC 8037)."),
    "weak_password": Problem(422, "Password too short", "Mật khẩu quá ngắn", "Mật khẩu quá ngắn; cần ít nhất {least} ký tự."),
    "bad_name": Problem(422, "Unusable name", "Tên không dùng được", "“{name}” không thể là tên đăng nhập; dùng 1 đến 32 ký tự a-z, 0-9, dấu chấm, gạch ngang, gạch dưới."),
    # What is asked for
    "bad_request": Problem(422, "Some fields are wrong", "Một số trường không đúng", "Yêu cầu có {count} trường không đúng; xem “errors” và sửa lại."),
    "body_too_large": Problem(413, "The request is too large", "Yêu cầu quá lớn", "Yêu cầu quá lớn; hãy rút ngắn, hoặc gửi bản ghi qua /sounds."),
    "bad_upload": Problem(422, "The upload cannot be taken", "Không nhận được tệp tải lên", "Không nhận được tệp; hãy gửi multipart/form-data với một tệp trong trường “file”."),
    "bad_window": Problem(422, "The time asked for is empty", "Khoảng thời gian rỗng", "Khoảng thời gian kết thúc trước khi bắt đầu; hãy chọn “to” muộn hơn."),
    "window_too_long": Problem(422, "The time asked for is too long", "Khoảng thời gian quá dài", "Mỗi lần chỉ xem được nhiều nhất {days} ngày; hãy chọn khoảng ngắn hơn."),
    "no_items": Problem(422, "Nothing to hear", "Không có nội dung", "Chưa có gì để phát; hãy nhập văn bản hoặc chọn âm thanh."),
    "no_targets": Problem(422, "No loudspeaker is reached", "Không có cụm loa nào", "Khu vực và cụm loa đã chọn, trừ các ngoại lệ, không có loa nào; hãy chọn lại."),
    "time_in_past": Problem(422, "The time is over", "Thời gian đã qua", "Thời điểm đã chọn đã qua; hãy chọn thời điểm muộn hơn."),
    "too_late": Problem(422, "Ready too late", "Chuẩn bị xong quá muộn", "Âm thanh chuẩn bị xong khi giờ phát đã qua; hãy đặt lại giờ."),
    "programme_too_long": Problem(422, "The programme is too long", "Chương trình quá dài", "Các âm thanh của chương trình dài hơn một ngày; hãy chia thành nhiều chương trình."),
    "bad_repeat": Problem(422, "Unusable repetition", "Lặp lại không hợp lệ", "Thông báo được lặp lại cách nhau 1 đến 1440 phút chẵn, 1 đến 1000 lần; muốn khác hãy tạo chương trình."),
    "bad_rule": Problem(422, "Unusable recurrence rule", "Quy tắc lặp không hợp lệ", "Quy tắc lặp không đọc được; hãy viết theo RRULE của RFC 5545, ví dụ FREQ=DAILY;BYHOUR=5,17."),
    "bad_every": Problem(422, "Unusable times of the day", "Giờ lặp trong ngày không hợp lệ", "“every” cần số phút từ 1 đến một ngày, giờ cuối không trước giờ đầu, và không dùng cùng BYHOUR, BYMINUTE, BYSECOND; hãy sửa lại."),
    "bad_duration": Problem(422, "Unusable duration", "Thời lượng không hợp lệ", "Thời lượng của một lần phát phải là số nguyên giây, từ 1 giây đến một ngày; hãy sửa lại."),
    "bad_text": Problem(422, "Unreadable recurrence text", "Không đọc được lịch dạng văn bản", "Lịch dạng văn bản không đọc được; hãy viết theo các dòng iCalendar (RFC 5545) như tài liệu mô tả."),
    "bad_start": Problem(422, "Unusable start", "Thời điểm bắt đầu không hợp lệ", "Thời điểm bắt đầu nằm ngoài các năm cho phép; hãy sửa lại."),
    "never_fires": Problem(422, "The recurrence never occurs", "Lịch không bao giờ phát", "Lịch này không bao giờ phát; hãy kiểm tra ngày không tồn tại, hạn kết thúc và các ngoại lệ."),
    "too_many_exclusions": Problem(422, "Too many exceptions", "Quá nhiều ngoại lệ", "Nhiều hơn {most} lần hoặc ngày được thêm hay bỏ qua; hãy bớt đi hoặc chọn quy tắc khác."),
    "too_often": Problem(422, "The recurrence occurs too often", "Lịch lặp quá dày", "Lịch lặp quá dày: hai lần phát cách nhau ít nhất một phút và mỗi ngày không quá nhiều lần; hãy giãn lịch ra."),
    "unknown_level": Problem(422, "Unknown level", "Mức không tồn tại", "“{level}” không phải là mức; dùng emergency, priority hoặc routine."),
    "unknown_tier": Problem(422, "Unknown tier", "Cấp không tồn tại", "Ở đây không có cấp “{tier}”; dùng một trong: {known}, hoặc để trống nếu là của đài."),
    "reason_required": Problem(422, "An emergency needs its reason", "Tin khẩn cấp cần lý do", "Tin khẩn cấp được vượt quy định địa phương nên phải ghi lý do; hãy nhập lý do."),
    "unknown_zone": Problem(422, "Unknown zone", "Khu vực không tồn tại", "Không có khu vực “{zone}”; hãy chọn khu vực có sẵn hoặc thêm trước."),
    "unknown_cluster": Problem(422, "Unknown cluster", "Cụm loa không tồn tại", "Không có cụm loa “{cluster}”; hãy chọn cụm có sẵn."),
    "unknown_tag": Problem(422, "Unknown tag", "Nhãn không tồn tại", "Không có cụm loa nào mang nhãn “{tag}”; hãy chọn nhãn đang dùng."),
    "unknown_parent": Problem(422, "Unknown parent zone", "Khu vực cấp trên không tồn tại", "Khu vực cấp trên “{parent}” không tồn tại; hãy thêm trước."),
    "zone_cycle": Problem(422, "Zones lie in a circle", "Khu vực lồng vòng", "Các khu vực nằm lồng vòng vào nhau; hãy đặt khu vực cấp trên khác."),
    "unknown_day_type": Problem(422, "Unknown day type", "Loại ngày không tồn tại", "Không có loại ngày “{day_type}”; hãy chọn loại có sẵn hoặc thêm trước."),
    "day_type_cycle": Problem(422, "Day types lie in a circle", "Loại ngày trừ lồng vòng", "Các loại ngày trừ lẫn nhau thành vòng; hãy bỏ bớt một loại khỏi “less”."),
    "bad_days": Problem(422, "Unusable days", "Ngày không hợp lệ", "Loại ngày “{day_type}” có khoảng ngày không dùng được; hãy kiểm tra ngày đầu, ngày cuối và số khoảng."),
    "bad_hold": Problem(422, "Unusable hold", "Lệnh tạm ngừng không hợp lệ", "Lệnh tạm ngừng phải kết thúc sau khi bắt đầu, sau lúc này, và dài nhất {days} ngày; hãy chọn lại lúc kết thúc."),
    "too_many_holds": Problem(409, "Too many holds", "Quá nhiều lệnh tạm ngừng", "Khu vực đã có {most} lệnh tạm ngừng chưa hết hạn; hãy gỡ bớt một lệnh."),
    "stopped_by_rule": Problem(422, "Stopped by a local rule", "Vướng quy định địa phương", "Sắp tới sẽ không phát được lần nào: lần đầu, {first}, bị chặn vì {why_vi}, và các lần gần đó cũng vậy. Hãy chọn giờ hoặc khu vực khác, hoặc đề nghị sửa quy định."),
    "bad_decision": Problem(422, "This cannot be decided", "Không thể quyết định", "Không thể quyết định giữa “{above}” và “{ours}”: cần hai lần phát có thật (programme@start) và trùng giờ nhau, hoặc hai chương trình; cả hai đều ưu tiên, một của cấp trên và một của đài. Hãy sửa lại."),
    "decided_too_late": Problem(409, "Decided too late", "Quyết định quá muộn", "Lần phát sớm hơn bắt đầu lúc {began}, không còn kịp báo cho các bộ thu để đổi thứ tự; muốn dừng, hãy rút chương trình."),
    # What is sent to be heard
    "not_audio": Problem(422, "Not audio", "Không phải âm thanh", "Tệp không phải âm thanh đọc được; hãy gửi MP3, WAV, M4A, OGG hoặc FLAC."),
    "empty_audio": Problem(422, "Empty audio", "Âm thanh rỗng", "Tệp không có âm thanh; hãy ghi lại hoặc chọn tệp khác."),
    "silent_audio": Problem(422, "Silent audio", "Âm thanh im lặng", "Bản ghi hoàn toàn im lặng; hãy kiểm tra micrô và ghi lại."),
    "sound_too_long": Problem(422, "The sound is too long", "Âm thanh quá dài", "Âm thanh dài hơn {limit_s} giây; hãy cắt ngắn."),
    "sound_too_large": Problem(413, "The file is too large", "Tệp quá lớn", "Tệp lớn hơn {limit_bytes} byte; hãy nén hoặc cắt ngắn."),
    "empty_text": Problem(422, "Empty text", "Văn bản rỗng", "Chưa có nội dung để đọc; hãy nhập văn bản."),
    "text_too_long": Problem(422, "The text is too long", "Văn bản quá dài", "Văn bản dài hơn {limit} ký tự; hãy rút ngắn hoặc chia nhỏ."),
    "unknown_voice": Problem(422, "Unknown voice", "Giọng đọc không tồn tại", "Không có giọng đọc “{voice}”; hãy chọn giọng có sẵn."),
    "sound_failed": Problem(500, "The sound could not be made ready", "Không chuẩn bị được âm thanh", "Máy chủ không chuẩn bị được âm thanh này; hãy gửi lại, nếu vẫn lỗi hãy báo quản trị viên."),
    "cancelled": Problem(503, "The work was stopped", "Công việc bị dừng", "Máy chủ đang dừng; hãy thử lại sau ít phút."),
    "library_unwritable": Problem(507, "Sounds cannot be stored", "Không lưu được âm thanh", "Máy chủ không lưu được âm thanh (đầy đĩa hoặc thiếu quyền ghi); hãy báo quản trị viên."),
    # What is there
    "not_found": Problem(404, "Not found", "Không tìm thấy", "Không tìm thấy; hãy kiểm tra mã hoặc đường dẫn."),
    "media_not_found": Problem(404, "No such rendition", "Không có bản âm thanh này", "Không có bản âm thanh này; hãy lấy mã băm từ lịch phát hoặc âm thanh."),
    "method_not_allowed": Problem(405, "Method not allowed", "Phương thức không được phép", "Đường dẫn này không nhận phương thức đó; xem /docs."),
    "already_exists": Problem(409, "Already exists", "Đã tồn tại", "“{id}” đã tồn tại (trong {collection}); hãy chọn mã khác."),
    "in_use": Problem(409, "Still in use", "Đang được dùng", "“{id}” vẫn đang được dùng; hãy chuyển, thu hồi hoặc rút những gì dùng nó trước."),
    "revision_conflict": Problem(409, "Changed by someone else", "Người khác đã sửa", "“{id}” đã được sửa sau khi bạn đọc; hãy tải lại rồi sửa tiếp."),
    "key_reused": Problem(409, "Idempotency key used before", "Khóa chống lặp đã dùng", "Idempotency-Key này đã dùng cho yêu cầu khác; hãy tạo khóa mới."),
    "already_withdrawn": Problem(409, "Already withdrawn", "Đã rút trước đó", "Chương trình đã được rút trước đó; không còn gì phải làm."),
    # What is wrong on our side
    "store_failed": Problem(500, "The store failed", "Lỗi lưu trữ", "Máy chủ gặp lỗi lưu trữ; hãy báo quản trị viên."),
    "store_damaged": Problem(500, "The store is damaged", "Dữ liệu bị hỏng", "Dữ liệu trên máy chủ bị hỏng; hãy báo quản trị viên xem nhật ký và bản sao gần nhất."),
    "store_unwritable": Problem(507, "The store cannot be written", "Không ghi được dữ liệu", "Máy chủ không ghi được dữ liệu (đầy đĩa hoặc thiếu quyền ghi); không có gì thay đổi; hãy báo quản trị viên."),
    "internal": Problem(500, "A mistake of ours", "Lỗi của hệ thống", "Hệ thống gặp lỗi; đã ghi vào nhật ký. Hãy thử lại hoặc báo quản trị viên."),
}  # fmt: skip


def sentence(code: str, fields: dict[str, Any], language: str, english: str = "") -> str:
    """Return what to tell an official about ``code``: ``english`` as it is, or the Vietnamese made of ``fields``."""
    problem = PROBLEMS.get(code, PROBLEMS["internal"])
    if language != "vi":
        return english or problem.title + "."
    if (told := recurrence_mistake(code, fields)) is not None:
        return told
    try:
        return problem.vi.format(**fields)
    except KeyError:
        return problem.title_vi + "."


def language(accepted: str) -> str:
    """Return ``vi`` if an ``Accept-Language`` header prefers it to English, else ``en`` (RFC 9110, 12.5.4)."""
    weights = {"vi": 0.0, "en": 0.0}
    for part in accepted.split(",")[:20]:
        tag, _, parameters = part.strip().partition(";")
        name = tag.strip().lower().partition("-")[0]
        if name in weights:
            weights[name] = max(weights[name], _quality(parameters))
    return "vi" if weights["vi"] > weights["en"] else "en"


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
