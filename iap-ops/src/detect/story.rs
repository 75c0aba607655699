//! An incident in words, in Korean and English. Each number in them stands in the incident.

use schemars::JsonSchema;
use serde::Serialize;

use super::incident::{Incident, IncidentState, Signal};
use super::monitor::Entity;
use super::rule::Measure;
use crate::cause::{CauseKind, RootCause};
use crate::question::Language;
use crate::zone::Zone;

/// What happened, told to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Story {
    /// In one line.
    pub title: String,
    /// When it began, was detected, and was over.
    pub when: String,
    /// How much of what users do is concerned.
    pub impact: String,
    /// What it is due to, and how sure that is.
    pub cause: String,
    /// What was out of order, a line each.
    pub signals: Vec<String>,
    /// What to do.
    pub advice: String,
    /// What would show that the cause is another.
    pub disproof: String,
}

/// Tells of an incident.
pub fn story(incident: &Incident, language: Language, zone: &Zone) -> Story {
    let words = Words { language, zone };
    Story {
        title: words.title(incident),
        when: words.when(incident),
        impact: words.impact(incident),
        cause: words.cause(&incident.cause),
        signals: incident.signals.iter().map(|signal| words.signal(signal)).collect(),
        advice: words.advice(&incident.cause),
        disproof: words.disproof(incident.cause.kind).to_owned(),
    }
}

struct Words<'a> {
    language: Language,
    zone: &'a Zone,
}

impl Words<'_> {
    fn pick<T>(&self, korean: T, english: T) -> T {
        match self.language {
            Language::Korean => korean,
            Language::English => english,
        }
    }

    fn title(&self, incident: &Incident) -> String {
        let cause = &incident.cause;
        let kind = self.kind(cause.kind);
        let place = cause.route.as_deref().map(|route| format!("{route}: ")).unwrap_or_default();
        format!("{place}{kind} {}", cause.name)
    }

    fn kind(&self, kind: CauseKind) -> &'static str {
        let (korean, english) = match kind {
            CauseKind::Sql => ("느리거나 실패하는 SQL", "SQL"),
            CauseKind::Upstream => ("업스트림 장애", "upstream"),
            CauseKind::Pool => ("커넥션 풀 고갈", "exhausted pool"),
            CauseKind::SessionStore => ("세션 저장소", "sessions:"),
            CauseKind::Network => ("네트워크", "network:"),
            CauseKind::Change => ("변경 직후 장애", "after a change:"),
            CauseKind::Load => ("요청 급증", "surge of"),
            CauseKind::Gc => ("GC 일시 정지", "garbage collection of"),
            CauseKind::Memory => ("메모리 누수 의심", "memory that is not given back by"),
            CauseKind::EventLoop => ("이벤트 루프 정체", "a blocked event loop:"),
            CauseKind::Code => ("코드", "code"),
            CauseKind::Log => ("처음 나온 오류 로그", "a new error in the log:"),
            CauseKind::Metric => ("지표 이상", "unusual metric"),
        };
        self.pick(korean, english)
    }

    fn time(&self, at_s: u64) -> String {
        self.zone.print(at_s * 1_000_000)
    }

    fn when(&self, incident: &Incident) -> String {
        let (began, detected) = (self.time(incident.began_s), self.time(incident.detected_s));
        let zone = self.zone.name();
        let end = match (incident.state, incident.resolved_s) {
            (IncidentState::Resolved, Some(at_s)) => {
                let at = self.time(at_s);
                self.pick(format!("{at}에 끝남"), format!("over at {at}"))
            }
            _ => self.pick("진행 중".to_owned(), "going on".to_owned()),
        };
        self.pick(
            format!("{began} 시작, {detected} 탐지, {end} ({zone})"),
            format!("began {began}, detected {detected}, {end} ({zone})"),
        )
    }

    fn impact(&self, incident: &Incident) -> String {
        let impact = incident.cause.impact;
        if impact.transactions == 0 {
            return self
                .pick("영향받은 요청을 찾지 못했습니다.", "No affected requests were found.")
                .to_owned();
        }
        let (affected, all, share) = (impact.affected, impact.transactions, impact.share_percent);
        let (users, sessions) = (impact.users, impact.sessions);
        self.pick(
            format!("탐지 시점까지 전체 요청 {all}건 중 {affected}건({share:.1}%), 사용자 {users}명, 세션 {sessions}개 이상."),
            format!(
                "Until it was detected {affected} of {all} requests ({share:.1} %); at least {users} users and {sessions} sessions."
            ),
        )
    }

    fn cause(&self, cause: &RootCause) -> String {
        let sure = cause.confidence * 100.0;
        let mut text = format!("{} `{}`", self.kind(cause.kind), cause.name);
        for (label, value) in [
            (self.pick("경로", "route"), &cause.route),
            (self.pick("서버", "node"), &cause.node),
            (self.pick("오류", "error"), &cause.error),
        ] {
            if let Some(value) = value {
                text.push_str(&format!(", {label} `{value}`"));
            }
        }
        if let Some((now_us, before_us)) = cause.self_us {
            let (now, before) = (seconds(now_us as f64 / 1e6), seconds(before_us as f64 / 1e6));
            text.push_str(
                &self.pick(format!(", 자체 시간 {before} → {now}"), format!(", own time {before} to {now}")),
            );
        }
        if let Some(parameter) = &cause.parameter {
            let (name, class) = (&parameter.name, &parameter.class);
            let (now, before) = (parameter.percent, parameter.usual_percent);
            text.push_str(&self.pick(
                format!(", {name} `{class}`: 문제 호출의 {now:.0}%, 평소 {before:.0}%"),
                format!(", {name} `{class}` in {now:.0} % of those calls, {before:.0} % before"),
            ));
        }
        if let Some(full_s) = cause.full_s {
            let at = self.time(full_s);
            text.push_str(
                &self.pick(format!(", 이 속도면 {at}에 가득 참"), format!(", full at {at} at this pace")),
            );
        }
        if let Some((at_ms, what)) = &cause.change {
            let at = self.zone.print(at_ms * 1_000);
            text.push_str(
                &self.pick(
                    format!(", 직전 변경 `{what}` ({at})"),
                    format!(", after the change `{what}` ({at})"),
                ),
            );
        }
        text.push_str(&self.pick(format!(". 확신도 {sure:.0}%."), format!(". Confidence {sure:.0} %.")));
        text
    }

    fn signal(&self, signal: &Signal) -> String {
        let key = &signal.alert.key;
        let thing = match &key.entity {
            Entity::Sessions => self.pick("세션", "sessions"),
            Entity::SessionStore => self.pick("세션 저장소", "session store"),
            entity => entity.name(),
        };
        let show = |value: f64| match signal.alert.measure {
            Measure::Ratio => format!("{:.1} %", value * 100.0),
            Measure::Duration => seconds(value),
            Measure::Events => format!("{value:.0}"),
            Measure::Level => format!("{value:.3}"),
        };
        if matches!(key.entity, Entity::Log(_)) {
            return format!("{thing}: {}", key.signal);
        }
        let (expected, worst) = (show(signal.alert.expected), show(signal.worst));
        let signal = &key.signal;
        self.pick(
            format!("{thing} {signal}: 평소 {expected}, 최대 {worst}"),
            format!("{thing} {signal}: usually {expected}, at worst {worst}"),
        )
    }

    fn advice(&self, cause: &RootCause) -> String {
        let (korean, english) = match cause.kind {
            CauseKind::Sql => (
                "실행 계획에서 인덱스를 쓰는지, 잠금을 기다리는지 확인하십시오. 급하면 이 문장을 쓰는 기능을 제한하십시오.",
                "See in the query plan whether it uses an index, and whether it waits for locks. If it is urgent, limit what uses it.",
            ),
            CauseKind::Upstream => (
                "서버가 살아 있는지 확인하고, 고칠 때까지 트래픽에서 빼거나(drain) 다른 서버를 더하십시오.",
                "See whether the server runs; drain it or add another one until it is mended.",
            ),
            CauseKind::Pool => (
                "연결을 오래 쥐는 요청부터 찾고, 필요한 크기(초당 요청 × 보유 시간 / 0.7)와 풀의 크기를 비교하십시오.",
                "Find what holds connections for long, and compare the pool with what is needed: rate × time held / 0.7.",
            ),
            CauseKind::SessionStore => (
                "저장소의 지연, 메모리와 연결을 확인하십시오. Redis라면 SLOWLOG와 LATENCY를 보십시오.",
                "Look at the store's latency, memory and connections; of Redis at SLOWLOG and LATENCY.",
            ),
            CauseKind::Network => (
                "두 서비스 사이의 재전송, DNS와 TLS, 연결 수 한도를 확인하십시오.",
                "Look at retransmissions, DNS, TLS and limits of connections between the two.",
            ),
            CauseKind::Change => (
                "변경을 되돌리고, 되돌린 뒤 오류가 사라지는지 보십시오.",
                "Take the change back, and see whether the errors go.",
            ),
            CauseKind::Load => (
                "누가 보내는지(주소, 사용자) 확인하고, 공격이면 제한을 걸고 아니면 용량을 늘리십시오.",
                "See who sends them (addresses, users): limit an attack, else add capacity.",
            ),
            CauseKind::Gc => (
                "클래스별 히스토그램과 스레드 덤프로 무엇이 객체를 만드는지 찾고, 그 기능을 제한하거나 힙을 늘리십시오.",
                "Find what makes so many objects by a histogram of classes and a thread dump; limit it, or give the heap more room.",
            ),
            CauseKind::Memory => (
                "클래스별 히스토그램을 시간을 두고 두 번 떠서 늘어난 클래스를 찾고, 가득 차기 전에 인스턴스를 하나씩 다시 시작하십시오.",
                "Take two histograms of classes some time apart and see which class grew; restart instances one by one before it is full.",
            ),
            CauseKind::EventLoop => (
                "이벤트 루프에서 계산이나 블로킹 호출을 하는 코드를 찾아 `spawn_blocking`으로 옮기고, CPU가 모자라지 않는지 보십시오.",
                "Find code that computes or blocks on the event loop and move it to `spawn_blocking`; see whether there is too little CPU.",
            ),
            CauseKind::Code => (
                "근거 트레이스의 오류와 그 구간의 코드를 보십시오.",
                "Look at the errors in the traces, and at the code of that span.",
            ),
            CauseKind::Log => (
                "로그의 앞뒤 줄과 같은 시각의 트레이스를 보십시오.",
                "Look at the lines around it, and at traces of that time.",
            ),
            CauseKind::Metric => (
                "같은 때에 달라진 다른 지표와 변경을 보십시오.",
                "Look at what else was otherwise at that time, and at changes.",
            ),
        };
        self.pick(korean, english).to_owned()
    }

    fn disproof(&self, kind: CauseKind) -> &'static str {
        let (korean, english) = match kind {
            CauseKind::Sql => (
                "이 문장이 없는 요청도 같이 느리거나 실패하면 원인이 아닙니다.",
                "It is another cause if requests without this statement are slow or fail as well.",
            ),
            CauseKind::Upstream => (
                "같은 서버의 다른 호출이 정상이면 원인이 아닙니다.",
                "It is another cause if other calls of the same server are well.",
            ),
            CauseKind::Pool => (
                "기다리는 동안 풀에 빈 연결이 있었다면 원인이 아닙니다.",
                "It is another cause if the pool had idle connections meanwhile.",
            ),
            CauseKind::SessionStore => (
                "세션을 쓰지 않는 경로도 같이 느리면 원인이 아닙니다.",
                "It is another cause if routes without sessions are slow as well.",
            ),
            CauseKind::Network => (
                "호출받은 쪽의 접수 대기열에서 기다렸다면 네트워크가 아닙니다.",
                "It is not the network if the time was spent in the accept queue of the one called.",
            ),
            CauseKind::Change => (
                "변경 전 버전에서도 같은 오류가 나면 원인이 아닙니다.",
                "It is another cause if the version before fails in the same way.",
            ),
            CauseKind::Load => (
                "재시도가 늘어난 것이라면 원인이 아니라 결과입니다.",
                "If they are retries, they are an effect and no cause.",
            ),
            CauseKind::Gc => (
                "느린 요청이 일시 정지와 겹치지 않으면 원인이 아닙니다.",
                "It is another cause if slow requests do not overlap the pauses.",
            ),
            CauseKind::Memory => (
                "다음 전체 GC 뒤에 사용량이 돌아오면 누수가 아닙니다.",
                "It is no leak if the use falls back after the next full collection.",
            ),
            CauseKind::EventLoop => (
                "같은 때 기계 전체의 CPU가 모자랐다면 원인이 아니라 결과입니다.",
                "If the whole machine had too little CPU at that time, it is an effect and no cause.",
            ),
            CauseKind::Code => (
                "같은 구간이 정상인 요청에서도 실패하면 원인이 아닙니다.",
                "It is another cause if the same span fails in requests that are well.",
            ),
            CauseKind::Log => (
                "이 줄이 예전에도 다른 말로 나왔다면 새로운 것이 아닙니다.",
                "It is nothing new if the same was said before in other words.",
            ),
            CauseKind::Metric => (
                "사용자가 겪는 지연이나 오류와 함께 움직이지 않으면 원인이 아닙니다.",
                "It is no cause if it does not move with what users notice.",
            ),
        };
        self.pick(korean, english)
    }
}

/// A time of which three digits matter.
fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{:.1} ms", value * 1e3) } else { format!("{value:.2} s") }
}

#[cfg(test)]
mod tests;
