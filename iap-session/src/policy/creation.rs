//! Who gets no session although an application writes one.

use http::header::{HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};

/// Who gets no session of their own. What the application writes then lasts for the request; a visitor who has
/// a session, or who logs in, is never held up by it.
///
/// An application that remembers something about every visitor (a first page, a cart, a form's token) makes a
/// session for each request of a crawler, because crawlers keep no cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationFilter {
    /// No session for crawlers and previews of links, by their `User-Agent`. Default on.
    pub bots: bool,
    /// No session for health checks of load balancers and orchestrators, by their `User-Agent`, and for
    /// `OPTIONS`. Default on.
    pub health_checks: bool,
    /// No session for style sheets, scripts, fonts, icons and `robots.txt`, by their path. Images are not
    /// among them: some are made for one visitor. Default on.
    pub static_files: bool,
    /// More parts of a `User-Agent` that mean a bot, in any case.
    pub user_agents: Vec<String>,
}

impl Default for CreationFilter {
    fn default() -> Self {
        Self { bots: true, health_checks: true, static_files: true, user_agents: Vec::new() }
    }
}

impl CreationFilter {
    /// Nobody is kept out.
    pub fn off() -> Self {
        Self { bots: false, health_checks: false, static_files: false, user_agents: Vec::new() }
    }
}

/// Parts of the names by which crawlers and makers of link previews introduce themselves, in lower case.
const BOTS: [&str; 17] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "mediapartners-google",
    "google-inspectiontool",
    "facebookexternalhit",
    "meta-externalagent",
    "ia_archiver",
    "whatsapp/",
    "kakaotalk-scrap",
    "yeti/",
    "daum/",
    "daumoa",
    "bingpreview",
    "embedly",
    "skypeuripreview",
];
/// A maker of telephones, whose browsers say so.
const NO_BOTS: [&str; 1] = ["cubot"];
/// How health checks introduce themselves, in lower case.
const HEALTH_CHECKS: [&str; 8] = [
    "kube-probe/",
    "elb-healthchecker/",
    "googlehc/",
    "consul health check",
    "azure traffic manager",
    "uptimerobot/",
    "pingdom",
    "iap-health-check",
];
const STATIC: [&str; 13] =
    ["css", "js", "mjs", "map", "ico", "woff", "woff2", "ttf", "otf", "eot", "webmanifest", "wasm", "svg"];

/// Why somebody gets no session. The string form is stable: metrics use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptOut {
    Bot,
    HealthCheck,
    StaticFile,
    Route,
}

impl KeptOut {
    pub(crate) const ALL: [Self; 4] = [Self::Bot, Self::HealthCheck, Self::StaticFile, Self::Route];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::HealthCheck => "health_check",
            Self::StaticFile => "static_file",
            Self::Route => "route",
        }
    }
}

/// What a request tells about its sender. Looked at only when a session is about to be created.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    method: Method,
    uri: Uri,
    user_agent: Option<HeaderValue>,
}

/// How much of a `User-Agent` is looked at.
const LOOKED_AT: usize = 512;

impl Visitor {
    pub(crate) fn new<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            user_agent: request.headers().get(USER_AGENT).cloned(),
        }
    }

    /// What it calls itself.
    pub(crate) fn user_agent(&self) -> Option<&[u8]> {
        self.user_agent.as_ref().map(HeaderValue::as_bytes)
    }

    /// Whether its method promises to change nothing (RFC 9110 section 9.2.1).
    pub(crate) fn only_reads(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    pub(crate) fn kept_out(&self, filter: &CreationFilter) -> Option<KeptOut> {
        if filter.health_checks && self.method == Method::OPTIONS {
            return Some(KeptOut::HealthCheck);
        }
        if filter.static_files && is_static(self.uri.path()) {
            return Some(KeptOut::StaticFile);
        }
        let agent = self.user_agent()?;
        let agent = agent[..agent.len().min(LOOKED_AT)].to_ascii_lowercase();
        let says = |part: &str| part.len() <= agent.len() && contains(&agent, part.as_bytes());
        if filter.health_checks && HEALTH_CHECKS.into_iter().any(says) {
            return Some(KeptOut::HealthCheck);
        }
        let own = |part: &String| !part.is_empty() && says(&part.to_ascii_lowercase());
        let bot = filter.bots && BOTS.into_iter().any(says) && !NO_BOTS.into_iter().any(says);
        (bot || filter.user_agents.iter().any(own)).then_some(KeptOut::Bot)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn is_static(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    file == "robots.txt"
        || file.rsplit_once('.').is_some_and(|(name, ending)| {
            !name.is_empty() && STATIC.iter().any(|known| known.eq_ignore_ascii_case(ending))
        })
}

#[cfg(test)]
mod tests;
