//! What the host says: asked in a thread of its own, so that keys are heard while it is slow.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use http::{Method, StatusCode};
use iap_core::BoxError;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::{call, printable, problem};

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(2);
/// The longest wait for all of its answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// News that wait to be looked at.
const WAITING: usize = 4;

/// An answer, or why there is none: it is switched off, or one may not see it.
pub(super) type Part = Result<Value, String>;

/// What the host said at one moment.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) status: Part,
    pub(super) live: Part,
    pub(super) routes: Part,
    pub(super) upstreams: Part,
    pub(super) incidents: Part,
}

/// News.
pub(super) enum Update {
    Snapshot(Box<Snapshot>),
    /// It does not answer, and why.
    Trouble(String),
    /// Somebody ends this process.
    End,
}

/// The background.
pub(super) struct Feed(Receiver<Update>);

impl Feed {
    /// Begins to ask.
    pub(super) fn start(url: String) -> Result<Self, BoxError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (news, updates) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("iap-top".to_owned())
            .spawn(move || runtime.block_on(watch(&url, &news)))?;
        Ok(Self(updates))
    }

    /// What has come, if something has.
    pub(super) fn next(&self) -> Option<Update> {
        self.0.try_recv().ok()
    }
}

async fn watch(url: &str, news: &SyncSender<Update>) {
    // The terminal has to be given back, whoever ends this.
    let signals =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut hangup), Ok(mut interrupt)) = signals else { return };
    loop {
        let asked = async {
            let late = |_| format!("no answer within {} s", PATIENCE.as_secs());
            let update = match tokio::time::timeout(PATIENCE, snapshot(url)).await.map_err(late) {
                Ok(Ok(snapshot)) => Update::Snapshot(Box::new(snapshot)),
                Ok(Err(error)) => Update::Trouble(error.to_string()),
                Err(late) => Update::Trouble(late),
            };
            let is_heard = news.send(update).is_ok();
            tokio::time::sleep(EVERY).await;
            is_heard
        };
        let goes_on = tokio::select! {
            is_heard = asked => is_heard,
            _ = terminate.recv() => false,
            _ = hangup.recv() => false,
            _ = interrupt.recv() => false,
        };
        if !goes_on {
            let _ = news.send(Update::End);
            return;
        }
    }
}

/// Asks for all that is shown. It fails where the host does not answer, or does not know who asks.
pub(super) async fn snapshot(url: &str) -> Result<Snapshot, BoxError> {
    // Points of the scatter are not shown: none are asked for.
    let live = format!("/api/live?since={}", u64::MAX);
    let (status, live, routes, upstreams, incidents) = tokio::try_join!(
        part(url, "/api/status"),
        part(url, &live),
        part(url, "/api/routes?last_s=60"),
        part(url, "/api/upstreams"),
        part(url, "/api/incidents?state=active&limit=100"),
    )?;
    Ok(Snapshot { status, live, routes, upstreams, incidents })
}

async fn part(url: &str, path: &str) -> Result<Part, BoxError> {
    let (status, answer) = call(url, Method::GET, path, (None, None)).await?;
    match status {
        StatusCode::OK => Ok(Ok(answer)),
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            Ok(Err(printable(answer["detail"].as_str().unwrap_or("there is no answer"))))
        }
        _ => Err(problem(url, status, &answer).into()),
    }
}
