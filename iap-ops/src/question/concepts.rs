//! The notions that a question speaks of. Which of them occur together tells what is asked.

use std::ops::{BitOr, BitOrAssign};

use super::fuzzy;
use super::is_hangul;

/// A set of notions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notions(u64);

impl Notions {
    const fn of(bit: u32) -> Self {
        Self(1 << bit)
    }

    /// Whether all of these occur.
    pub(super) const fn has(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    /// Whether one of these occurs.
    pub(super) const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

impl BitOr for Notions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Notions {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

pub(super) const SLOW: Notions = Notions::of(0);
pub(super) const FAIL: Notions = Notions::of(1);
pub(super) const CAUSE: Notions = Notions::of(2);
pub(super) const BOTTLENECK: Notions = Notions::of(3);
pub(super) const REMEDY: Notions = Notions::of(4);
pub(super) const REPORT: Notions = Notions::of(5);
pub(super) const PERFORMANCE: Notions = Notions::of(6);
pub(super) const SESSION: Notions = Notions::of(7);
pub(super) const STATE: Notions = Notions::of(8);
pub(super) const RECORD: Notions = Notions::of(9);
pub(super) const CAPACITY: Notions = Notions::of(10);
pub(super) const FUTURE: Notions = Notions::of(11);
pub(super) const ROUTE: Notions = Notions::of(12);
pub(super) const TOP: Notions = Notions::of(13);
pub(super) const SQL: Notions = Notions::of(14);
pub(super) const KIND: Notions = Notions::of(15);
pub(super) const COMPARE: Notions = Notions::of(16);
pub(super) const THAN: Notions = Notions::of(17);
pub(super) const TRACE: Notions = Notions::of(18);
pub(super) const REQUEST: Notions = Notions::of(19);
pub(super) const SINGLE: Notions = Notions::of(20);
pub(super) const USER: Notions = Notions::of(21);
pub(super) const DOING: Notions = Notions::of(22);
pub(super) const CONCURRENT: Notions = Notions::of(23);
pub(super) const HOW_MANY: Notions = Notions::of(24);
pub(super) const SERVER: Notions = Notions::of(25);
pub(super) const CHANGE: Notions = Notions::of(26);
pub(super) const ASK: Notions = Notions::of(27);
pub(super) const WHICH: Notions = Notions::of(28);
pub(super) const ACUTE: Notions = Notions::of(29);
pub(super) const TRAFFIC: Notions = Notions::of(30);
pub(super) const SLOW_ONES: Notions = Notions::of(31);
pub(super) const PEOPLE: Notions = Notions::of(32);
pub(super) const FINE: Notions = Notions::of(33);
pub(super) const COMPLAINT: Notions = Notions::of(34);
pub(super) const CONFIG: Notions = Notions::of(35);
pub(super) const RANK: Notions = Notions::of(36);

/// A notion with what stands for it: Korean stems, found anywhere once spaces are taken out; English words,
/// of which those with `*` are beginnings and those with spaces follow each other.
type Entry = (Notions, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const TABLE: &[Entry] = &[
    (SLOW, &["느려", "느리", "느린", "느림", "느렸", "지연", "오래걸", "오래도", "늦는", "늦은", "늦어", "버벅", "굼뜬", "레이턴시", "긴경로", "슬로우", "안나오는"],
        &["slow*", "latency", "sluggish", "longest", "delay*", "too long", "so much time", "expensive", "heavy", "heaviest"]),
    (SLOW_ONES, &["느린", "느렸던", "슬로우", "오래걸리는", "오래걸린", "긴경로", "지연이심한", "지연시간", "늦는경로", "안나오는"],
        &["slowest", "longest", "slow", "expensive", "heavy", "worst", "too long"]),
    (FAIL, &["장애", "오류", "에러", "실패", "고장", "예외", "5xx"],
        &["error*", "fail*", "outage*", "incident*", "exception*", "5xx", "500s", "crash*", "failure*"]),
    (ACUTE, &["문제의원인", "문제원인", "무엇이문제", "뭐가문제", "뭐가잘못", "무엇이잘못", "무슨문제", "문제가뭐", "문제가무엇", "문제있", "문제가있", "안돼", "안되", "무슨일이", "원인을알려", "원인이뭐", "장애원인", "이상있", "이상이있", "이상없", "터진"],
        &["wrong", "broken", "unhealthy", "problem", "problems", "any issues", "slowness", "why down", "whats up", "root cause", "did it fail"]),
    (COMPLAINT, &["느려", "느리", "왜이렇게느", "버벅"], &["slow", "slower", "slowness", "sluggish"]),
    (FINE, &["괜찮", "정상", "상태알려", "상태는", "상태어때"], &["everything fine", "everything ok", "everything okay", "everything healthy", "all ok", "is healthy", "show status", "the status", "what status"]),
    (CAUSE, &["원인", "왜", "이유", "때문", "까닭"], &["why", "cause*", "causing", "reason*", "diagnose"]),
    (BOTTLENECK, &["병목", "보틀넥", "잡아먹", "막히고", "막혀", "막혔", "튜닝", "시간이제일많이", "시간을제일많이", "시간을가장많이", "시간이가장많이"], &["bottleneck*", "tuning", "time going", "time go", "spend their time", "takes the most time", "takes so much time", "holding us back", "losing time", "eating the time", "slows us"]),
    (REMEDY, &["해결방", "해결책", "대책", "개선", "튜닝", "빨라지", "빨라져", "해결하"], &["fix*", "recommend*", "recommendation*", "advice", "improve*", "tune", "tuning", "what to do", "faster", "remedy"]),
    (REPORT, &["보고서", "리포트", "레포트", "요약", "성능보고", "정리해"], &["report", "reports", "summar*", "overview", "sum up"]),
    (PERFORMANCE, &["성능", "퍼포먼스", "처리량", "응답시간", "응답속도", "평균응답", "일일보고", "주간보고", "월간보고"], &["performance", "perform", "throughput", "tps", "rps", "p50", "p95", "p99", "response times", "how fast", "response time", "daily report", "weekly report", "monthly report"]),
    (TRAFFIC, &["트래픽", "부하", "수요", "요청량"], &["traffic", "load", "demand"]),
    (SESSION, &["세션"], &["session*"]),
    (STATE, &["상태", "현황", "괜찮", "어때", "정상", "살아", "멀쩡", "헬스", "죽었", "죽은", "돌고있", "떠있", "이상", "문제"],
        &["status", "state", "health", "healthy", "unhealthy", "alive", "up", "down", "ok", "okay", "fine", "doing", "running", "crashing", "reachable", "well"]),
    (RECORD, &["이력", "내역", "기록", "히스토리", "목록", "일지", "과거", "언제", "지난장애", "있었"], &["history", "list", "past", "log", "record*", "previous", "when did"]),
    (CAPACITY, &["용량", "캐파", "증설", "버틸", "버티", "감당", "예측", "전망", "넘을", "초과할", "초과가능", "넘길", "늘려야", "모자라", "얼마나늘", "증가추세"],
        &["capacity", "forecast*", "predict*", "projected", "projection", "growth", "headroom", "exceed*", "probability", "likely", "odds", "chance", "expected", "run out", "enough", "more servers", "expect", "estimate"]),
    (FUTURE, &["다음달", "다음주", "내달", "앞으로", "향후", "한달뒤", "내년"], &["next month", "next week", "next quarter", "next months", "upcoming"]),
    (ROUTE, &["경로", "라우트", "엔드포인트", "페이지", "화면", "서비스순위"], &["route*", "endpoint*", "path", "paths", "page", "pages", "api", "apis", "url", "urls"]),
    (TOP, &["가장", "제일", "순위", "순으로", "순서", "랭킹", "상위", "흔한", "많이"], &["top", "slowest", "longest", "worst", "most", "rank*", "highest", "sorted", "best"]),
    (RANK, &["순위", "랭킹", "목록", "순서"], &["rank*", "list", "sorted", "by"]),
    (SQL, &["쿼리", "디비", "데이터베이스", "인덱스", "질의문"], &["sql", "query", "queries", "db", "database*", "statement", "statements", "index", "indexes", "indices"]),
    (KIND, &["종류", "유형", "분류", "코드별", "별건수", "별로", "집계", "통계", "분포", "나눠", "묶어", "에러순위", "가장많은에러", "에러별"],
        &["kind", "kinds", "type", "types", "breakdown", "group*", "categor*", "class*", "distribution", "statistic*", "by", "per", "split", "frequent", "common", "count errors"]),
    (COMPARE, &["비교", "대비", "차이", "비교해", "달라", "다르지", "달라졌", "비해", "다른점"], &["compar*", "vs", "versus", "difference*", "different", "against today", "contrast", "week over week", "day over day", "differ*"]),
    (THAN, &["보다"], &["than"]),
    (TRACE, &["트레이스"], &["trace", "traces", "critical path"]),
    (REQUEST, &["트랜잭션", "요청", "거래"], &["transaction*", "request*"]),
    (SINGLE, &["하나", "한건", "상세", "추적", "뜯어", "분석"], &["single", "one", "last failed", "explain", "detail*", "inspect", "analy*", "walk"]),
    (USER, &["사용자", "유저", "회원", "고객", "이용자"], &["user", "users", "customer*", "visitor*", "member*"]),
    (PEOPLE, &["사용자", "유저", "이용자", "접속자", "방문자", "사람", "몇명", "동접", "동시접속"], &["who", "concurren*", "online", "user", "users", "people", "visitors", "folks", "clients"]),
    (DOING, &["활동", "뭐했", "뭐했어", "뭘했", "무엇을했", "한일", "행동", "행적", "요청내역", "요청목록", "호출한", "요청기록", "요청한", "요청했", "많이요청", "요청이가장", "무슨일"], &["activity", "activities", "did", "doing", "done", "requests", "history", "visit*", "up to", "active users", "happened"]),
    (CONCURRENT, &["동시", "동접", "접속", "온라인", "실시간", "몇명", "사용자수", "유저수", "이용자수", "이용중", "로그인한"], &["concurren*", "online", "simultaneous", "at once", "current", "active users", "user count", "number of", "right now", "peak"]),
    (HOW_MANY, &["몇개", "몇명", "개수", "수는", "수알려", "얼마나", "몇대", "몇이", "횟수"], &["how many", "number of", "count"]),
    (SERVER, &["업스트림", "백엔드", "프로세스", "인스턴스", "서버", "노드", "헬스체크"], &["upstream*", "backend*", "process", "processes", "instance*", "server*", "node", "nodes", "health check", "health checks"]),
    (CHANGE, &["변경", "바뀐", "바뀌", "바꿨", "바꾼", "배포", "리로드", "재시작", "릴리스", "고친", "건드", "달라진"], &["change", "changes", "changed", "deploy*", "reload*", "release*", "rollout*", "restarted", "modified", "touched"]),
    (CONFIG, &["설정", "구성"], &["config", "configuration"]),
    (ASK, &["어떻게", "알려", "보여", "보고", "만들", "작성", "뽑아", "주세요", "부탁", "해줘", "있어", "있나", "어때", "뭐", "조회"], &["show", "give", "make", "write", "what*", "list", "open", "find", "get", "tell", "is", "are", "how", "please"]),
    (WHICH, &["어떤", "어느", "무슨"], &["which"]),
];

/// The notions of a text in lower case.
pub(super) fn read(text: &str) -> Notions {
    let text = Text::new(text);
    let mut found = Notions::default();
    let odd = text.odd_words();
    for (notion, korean, english) in TABLE {
        let korean = || korean.iter().any(|stem| text.letters.contains(stem));
        let english = || english.iter().any(|word| text.has(word) || nearly(&odd, word));
        if korean() || english() {
            found |= *notion;
        }
    }
    found
}

/// Whether one of these words is another one with a mistake.
fn nearly(words: &[&String], wanted: &str) -> bool {
    let Some(start) = wanted.strip_suffix('*') else {
        return !wanted.contains(' ') && words.iter().any(|word| fuzzy::nearly(word, wanted));
    };
    let lengths = start.len().saturating_sub(1)..=start.len() + 1;
    words.iter().any(|word| {
        lengths.clone().any(|length| word.get(..length).is_some_and(|begin| fuzzy::nearly(begin, start)))
    })
}

/// The same, with a mistake in the letters of a Korean stem forgiven.
pub(super) fn read_with_mistakes(text: &str) -> Notions {
    let mut found = read(text);
    let letters = Text::new(text).letters;
    for (notion, korean, _) in TABLE {
        if korean.iter().any(|stem| fuzzy::contains(&letters, stem)) {
            found |= *notion;
        }
    }
    found
}

/// Letters of a beginning that leaves no doubt of the word.
const LONG: usize = 5;

/// A text as it is searched.
struct Text {
    /// Letters and digits only.
    letters: String,
    /// Runs of letters and digits of one script.
    words: Vec<String>,
}

impl Text {
    fn new(text: &str) -> Self {
        let letters = text.chars().filter(|c| c.is_alphanumeric()).collect();
        let mut words: Vec<String> = Vec::new();
        let mut before = None;
        for c in text.chars().filter(|c| *c != '\'' && *c != '’') {
            let script = c.is_alphanumeric().then(|| is_hangul(c));
            match words.last_mut() {
                Some(word) if script.is_some() && script == before => word.push(c),
                _ if script.is_some() => words.push(c.into()),
                _ => {}
            }
            before = script;
        }
        Self { letters, words }
    }

    fn has(&self, wanted: &str) -> bool {
        match (wanted.strip_suffix('*'), wanted.split_once(' ')) {
            (Some(start), _) => self.words.iter().any(|word| word.starts_with(start)),
            (None, None) => self.words.iter().any(|word| word == wanted),
            (None, Some(_)) => {
                let run: Vec<&str> = wanted.split(' ').collect();
                self.words.windows(run.len()).any(|words| words.iter().eq(run.iter()))
            }
        }
    }

    /// The words that stand for nothing.
    fn odd_words(&self) -> Vec<&String> {
        let known = |word: &str| {
            let entries = TABLE.iter().flat_map(|(_, _, english)| english.iter());
            entries.flat_map(|entry| entry.split(' ')).any(|part| match part.strip_suffix('*') {
                Some(start) => word.starts_with(start) && start.len() >= LONG,
                None => word == part,
            })
        };
        self.words.iter().filter(|word| !word.starts_with(is_hangul) && !known(word)).collect()
    }
}
