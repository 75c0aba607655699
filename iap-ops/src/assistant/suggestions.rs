//! Questions that are worth asking after others, and one for each intent.

use super::pick;
use crate::question::{Intent, Language};

/// A question of each intent.
pub(crate) fn example(intent: Intent, language: Language) -> &'static str {
    let (korean, english) = match intent {
        Intent::WhatIsWrong | Intent::Unknown => ("지금 문제의 원인을 알려줘", "what is wrong right now?"),
        Intent::PerformanceReport => ("오늘 성능 보고서", "performance report of today"),
        Intent::SessionStatus => ("세션 서버 상태", "status of the session servers"),
        Intent::PastFailures => ("지난달 트랜잭션 장애 이력", "failure history of last month"),
        Intent::Bottleneck => {
            ("최근 1시간 병목 원인과 해결 방안", "bottleneck of the last hour and how to fix it")
        }
        Intent::Capacity => ("다음 달 용량", "capacity next month"),
        Intent::SlowestRoutes => ("가장 느린 경로", "slowest routes"),
        Intent::SlowestSql => ("가장 느린 SQL", "slowest SQL"),
        Intent::ErrorsByKind => ("오류 종류별 현황", "errors by kind"),
        Intent::Compare => ("어제와 비교해줘", "compare with yesterday"),
        Intent::Transaction => ("가장 느린 트랜잭션", "the slowest transaction"),
        Intent::Activity => ("사용자별 활동", "most active users"),
        Intent::ConcurrentUsers => ("동시 사용자 수", "how many concurrent users"),
        Intent::Health => ("업스트림과 프로세스 상태", "health of the upstreams and processes"),
        Intent::Changes => ("최근 변경 사항", "what has changed lately"),
    };
    pick(language, korean, english)
}

/// What may be asked after an answer.
pub(super) fn after(intent: Intent, language: Language) -> Vec<&'static str> {
    use Intent as I;
    let next: &[Intent] = match intent {
        I::WhatIsWrong => &[I::Changes, I::Bottleneck, I::ErrorsByKind, I::Health],
        I::PerformanceReport | I::Compare => &[I::SlowestRoutes, I::Bottleneck, I::Compare, I::Capacity],
        I::SessionStatus | I::ConcurrentUsers => {
            &[I::ConcurrentUsers, I::SessionStatus, I::Activity, I::Capacity]
        }
        I::PastFailures | I::ErrorsByKind => &[I::WhatIsWrong, I::ErrorsByKind, I::Changes, I::Health],
        I::Bottleneck | I::SlowestRoutes | I::SlowestSql => {
            &[I::SlowestSql, I::Transaction, I::Compare, I::Changes]
        }
        I::Capacity => &[I::PerformanceReport, I::Bottleneck, I::ConcurrentUsers],
        I::Transaction | I::Activity => &[I::SlowestRoutes, I::ErrorsByKind, I::WhatIsWrong],
        I::Health | I::Changes => &[I::WhatIsWrong, I::Compare, I::ErrorsByKind],
        I::Unknown => &I::ALL,
    };
    next.iter().filter(|next| **next != intent).map(|next| example(*next, language)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Intent, Language, example};
    use crate::question::Question;

    #[test]
    fn what_is_suggested_is_understood() {
        for intent in Intent::ALL {
            for language in [Language::Korean, Language::English] {
                let text = example(intent, language);
                assert_eq!(Question::read(text).intent, intent, "{text}");
            }
        }
    }
}
