//! The route table, compared with a search through all routes that knows nothing of trees.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use http::header::{COOKIE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::gate::{canonical_path, percent_decode};
use crate::route::{Conditions, Head, NoRoute, Route, RouteTable};
use crate::target::Target;

const MAX_ROUTES: usize = 24;
const MAX_REQUESTS: usize = 24;

/// A line each: routes as `r|e HOST PATH [m:METHOD] [h:NAME=PATTERN] [c:NAME=PATTERN] [q:NAME=PATTERN]`, `e` for
/// an exact path and `-` for all hosts; then requests as `METHOD HOST TARGET [h:NAME=VALUE] [c:NAME=VALUE]`.
pub fn router(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut rules, mut requests) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [kind @ ("r" | "e"), host, path, ref rest @ ..] if rules.len() < MAX_ROUTES => {
                let Some(rule) = Rule::new(kind == "e", host, path, rest) else { continue };
                rules.push(rule);
                // Which routes contradict each other, the table says.
                if build(&rules).is_none() {
                    rules.pop();
                }
            }
            [method, host, target, ref rest @ ..] if requests.len() < MAX_REQUESTS => {
                requests.extend(Asked::new(method, host, target, rest));
            }
            _ => {}
        }
    }
    let table = build(&rules).expect("each route was taken before");
    for asked in &requests {
        compare(&table, &rules, asked);
    }
}

fn build(rules: &[Rule]) -> Option<RouteTable> {
    RouteTable::new(rules.iter().enumerate().map(|(index, rule)| rule.route(index))).ok()
}

fn compare(table: &RouteTable, rules: &[Rule], asked: &Asked) {
    let head = Head { method: &asked.method, uri: &asked.uri, headers: &asked.headers };
    let found = table.find(&asked.host, head).map(|route| route.name().to_string());
    let fit =
        |rule: &&Rule| rule.has_host(&asked.host) && rule.has_path(asked.uri.path()) && rule.holds(asked);
    let fitting: Vec<&Rule> = rules.iter().filter(fit).collect();
    let best =
        fitting.iter().filter(|rule| rule.has_method(&asked.method)).max_by_key(|rule| rule.rank(rules));
    match (found, best) {
        (Ok(name), Some(best)) => assert_eq!(name, best.name(rules), "{asked:?}\n{rules:#?}"),
        (Err(NoRoute::NotFound), None) => assert!(fitting.is_empty(), "{asked:?}\n{rules:#?}"),
        (Err(NoRoute::WrongMethod(allowed)), None) => {
            let allowed: BTreeSet<String> = allowed.iter().map(Method::to_string).collect();
            let all = fitting.iter().flat_map(|rule| &rule.methods).map(Method::to_string).collect();
            assert_eq!(allowed, all, "{asked:?}\n{rules:#?}");
        }
        (found, best) => panic!("{found:?}, not {best:?}: {asked:?}\n{rules:#?}"),
    }
}

/// A route in plain words.
#[derive(Debug)]
struct Rule {
    is_exact: bool,
    host: Option<String>,
    path: String,
    methods: Vec<Method>,
    /// Kind, name and pattern.
    conditions: Vec<(char, String, String)>,
}

/// A request, as far as routes look at it.
#[derive(Debug)]
struct Asked {
    method: Method,
    host: String,
    uri: Uri,
    headers: HeaderMap,
    cookies: Vec<(String, String)>,
}

fn condition(word: &str) -> Option<(char, String, String)> {
    let (kind, rest) = word.split_once(':')?;
    let (name, value) = rest.split_once('=')?;
    let kind = kind.chars().next().filter(|_| kind.len() == 1)?;
    Some((kind, name.to_owned(), value.to_owned()))
}

impl Rule {
    fn new(is_exact: bool, host: &str, path: &str, words: &[&str]) -> Option<Self> {
        let host = (host != "-").then(|| host.to_ascii_lowercase());
        let mut rule =
            Self { is_exact, host, path: path.into(), methods: Vec::new(), conditions: Vec::new() };
        for word in words.iter().take(6) {
            if let Some(method) = word.strip_prefix("m:") {
                rule.methods.push(Method::from_bytes(method.as_bytes()).ok()?);
                continue;
            }
            let (kind, name, pattern) = condition(word)?;
            match kind {
                'h' => drop(HeaderName::from_bytes(name.as_bytes()).ok()?),
                'c' | 'q' => {}
                _ => return None,
            }
            rule.conditions.push((kind, name, pattern));
        }
        Some(rule)
    }

    fn route(&self, index: usize) -> Route {
        let mut when = Conditions::new().methods(self.methods.iter().cloned());
        for (kind, name, pattern) in &self.conditions {
            when = match kind {
                'h' => when.header(HeaderName::from_bytes(name.as_bytes()).expect("a name"), pattern),
                'c' => when.cookie(name, pattern),
                _ => when.query(name, pattern),
            };
        }
        let target = Target::respond(StatusCode::OK, "");
        let mut route = Route::new(format!("{index}"), self.path.as_str(), target).when(when);
        if let Some(host) = &self.host {
            route = route.host(host);
        }
        if self.is_exact { route.exact() } else { route }
    }

    fn name(&self, rules: &[Rule]) -> String {
        rules.iter().position(|rule| std::ptr::eq(rule, self)).expect("one of them").to_string()
    }

    fn has_host(&self, host: &str) -> bool {
        match self.host.as_deref() {
            None | Some("*") => true,
            Some(own) => match own.strip_prefix('*') {
                Some(domain) => host.len() > domain.len() && host.ends_with(domain),
                None => own == host,
            },
        }
    }

    fn has_path(&self, path: &str) -> bool {
        let (own, path) = (parts(&self.path), parts(path));
        let fits = own.iter().zip(&path).all(|(own, part)| own.starts_with('{') || own == part);
        fits && if self.is_exact { own.len() == path.len() } else { own.len() <= path.len() }
    }

    fn has_method(&self, method: &Method) -> bool {
        let own = |method| self.methods.contains(method);
        self.methods.is_empty() || own(method) || (method == Method::HEAD && own(&Method::GET))
    }

    /// Whether all conditions but the method hold.
    fn holds(&self, asked: &Asked) -> bool {
        self.conditions.iter().all(|(kind, name, pattern)| {
            let pattern: Vec<char> = pattern.chars().collect();
            let fits = |value: &str| fits(&pattern, &value.chars().collect::<Vec<_>>());
            match kind {
                'h' => asked.headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(fits)),
                'c' => asked.cookies.iter().any(|(own, value)| own == name && fits(value)),
                _ => asked.query().any(|(own, value)| own == *name && fits(&value)),
            }
        })
    }

    /// The higher, the narrower. Segment by segment: a written one, then a parameter, then the end.
    fn rank(&self, rules: &[Rule]) -> impl Ord + use<> {
        let host = match self.host.as_deref() {
            None | Some("*") => (0, 0),
            Some(host) if host.starts_with("*.") => (1, host.len()),
            Some(_) => (2, 0),
        };
        let path: Vec<u8> =
            parts(&self.path).iter().map(|part| if part.starts_with('{') { 1 } else { 2 }).collect();
        let conditions = usize::from(!self.methods.is_empty()) + self.conditions.len();
        let index = rules.iter().position(|rule| std::ptr::eq(rule, self));
        (host, path, self.is_exact, conditions, Reverse(index))
    }
}

impl Asked {
    fn new(method: &str, host: &str, target: &str, words: &[&str]) -> Option<Self> {
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let uri: Uri = target.parse().ok().filter(|uri: &Uri| uri.scheme().is_none())?;
        // The table is asked only about what the gate has let through.
        if host.split('.').any(str::is_empty) {
            return None;
        }
        if !uri.path().starts_with('/') || canonical_path(uri.path()).ok()?.is_some() {
            return None;
        }
        let (mut headers, mut cookies) = (HeaderMap::new(), Vec::new());
        for (kind, name, value) in words.iter().take(6).filter_map(|word| condition(word)) {
            if kind == 'c' && name.bytes().chain(value.bytes()).all(|byte| byte.is_ascii_alphanumeric()) {
                headers.append(COOKIE, HeaderValue::from_str(&format!("{name}={value}")).ok()?);
                cookies.push((name, value));
            } else if kind == 'h' && name != "cookie" {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                headers.append(name, HeaderValue::from_str(&value).ok()?);
            }
        }
        Some(Self { method, host: host.to_ascii_lowercase(), uri, headers, cookies })
    }

    fn query(&self) -> impl Iterator<Item = (String, String)> {
        self.uri.query().unwrap_or_default().split('&').filter_map(|pair| {
            let plain = |text: &str| percent_decode(&text.replace('+', " "));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((plain(name)?, plain(value)?))
        })
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// Whether a value fits a pattern in which `*` is any text.
fn fits(pattern: &[char], value: &[char]) -> bool {
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    for sign in pattern {
        if *sign == '*' {
            let first = reached.iter().position(|reached| *reached).unwrap_or(reached.len());
            reached[first..].fill(true);
            continue;
        }
        for at in (0..value.len()).rev() {
            reached[at + 1] = reached[at] && value[at] == *sign;
        }
        reached[0] = false;
    }
    reached[value.len()]
}
