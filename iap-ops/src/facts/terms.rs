//! The names of tables, columns, charts and parts of a report.

use crate::question::Language;

#[rustfmt::skip]
const TERMS: &[(&str, &str, &str)] = &[
    ("address", "주소", "address"),
    ("at", "시각", "at"),
    ("bottlenecks", "시간을 쓴 곳", "Where the time goes"),
    ("by_route", "경로별", "By route"),
    ("cause", "원인", "cause"),
    ("change", "변경", "change"),
    ("changes", "변경", "Changes"),
    ("compared_routes", "경로별 비교", "Routes compared"),
    ("confidence", "확신도", "confidence"),
    ("connections", "연결", "connections"),
    ("count", "요청", "requests"),
    ("count_before", "이전 요청", "requests before"),
    ("critical_path", "기다린 곳", "What it waited for"),
    ("detected", "탐지된 장애", "Detected incidents"),
    ("duration", "소요 시간", "duration"),
    ("error", "오류", "error"),
    ("error_percent", "오류율", "failed"),
    ("error_percent_after", "이후 오류율", "failed after"),
    ("error_percent_before", "이전 오류율", "failed before"),
    ("errors", "오류", "errors"),
    ("errors_by_kind", "오류 종류", "Errors by kind"),
    ("evidence", "근거", "evidence"),
    ("failed", "연결 실패", "failed connections"),
    ("forecast", "예측(초당 요청)", "Forecast, requests a second"),
    ("from", "시작", "from"),
    ("in_flight", "처리 중", "in flight"),
    ("incident", "번호", "number"),
    ("incidents", "장애", "Incidents"),
    ("instances", "프로세스 인스턴스", "Process instances"),
    ("kind", "종류", "kind"),
    ("last", "마지막", "last"),
    ("last_exit", "마지막 종료", "last exit"),
    ("latest_requests", "최근 요청", "Latest requests"),
    ("length", "길이", "length"),
    ("max", "최대", "max"),
    ("mean", "평균", "mean"),
    ("message", "메시지", "message"),
    ("method", "메서드", "method"),
    ("most_active", "요청이 많은 사용자", "Users with most requests"),
    ("number", "번호", "number"),
    ("p50", "p50", "p50"),
    ("p95", "p95", "p95"),
    ("p95_after", "이후 p95", "p95 after"),
    ("p95_before", "이전 p95", "p95 before"),
    ("p99", "p99", "p99"),
    ("path", "경로", "path"),
    ("process", "프로세스", "process"),
    ("rate", "초당 요청", "Requests a second"),
    ("restarts", "재시작", "restarts"),
    ("route", "경로", "route"),
    ("routes", "경로", "routes"),
    ("self_time", "자체 시간", "own time"),
    ("servers", "업스트림 서버", "Upstream servers"),
    ("service", "서비스", "service"),
    ("setting", "설정", "setting"),
    ("share", "비중", "share"),
    ("since", "이후", "since"),
    ("slowest_routes", "느린 경로", "Slowest routes"),
    ("sql", "시간을 쓴 SQL", "SQL by time"),
    ("state", "상태", "state"),
    ("status", "상태 코드", "status"),
    ("thing", "대상", "thing"),
    ("time_percent", "시간 비중", "share of time"),
    ("trace", "트레이스", "trace"),
    ("traces", "트레이스 수", "traces"),
    ("upstream", "업스트림", "upstream"),
    ("user", "사용자", "user"),
    ("users", "사용자", "Users"),
    ("what", "내용", "what"),
];

/// The name in a language; the name itself where there is none, which a test rules out.
pub(crate) fn label(language: Language, name: &'static str) -> &'static str {
    let found = TERMS.iter().find(|(known, ..)| *known == name);
    found.map_or(name, |(_, korean, english)| match language {
        Language::Korean => korean,
        Language::English => english,
    })
}

#[cfg(test)]
pub(super) fn known(name: &str) -> bool {
    TERMS.iter().any(|(known, ..)| *known == name)
}
