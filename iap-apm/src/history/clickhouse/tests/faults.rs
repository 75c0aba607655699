//! A server that does not do what it should.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// How a request is met.
#[derive(Debug, Clone)]
enum Met {
    /// With this status, number of an exception, and body.
    Answered(u16, Option<u32>, &'static str),
    /// With a connection that ends.
    Broken,
    /// With nothing.
    Ignored,
}

const WELL: Met = Met::Answered(200, None, "");

/// A server that meets requests as it is told, and then well.
struct Faulty {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Faulty {
    async fn start(met: impl IntoIterator<Item = Met>) -> Self {
        Self::start_at(0, met).await
    }

    async fn start_at(port: u16, met: impl IntoIterator<Item = Met>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (met, asked): (Arc<Mutex<VecDeque<Met>>>, _) =
            (Arc::new(Mutex::new(met.into_iter().collect())), Arc::new(Mutex::new(Vec::new())));
        let note = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, met.clone(), note.clone()));
            }
        });
        Self { port, asked }
    }

    /// A history whose tables are taken to be there.
    fn history(&self) -> ClickHouseHistory {
        let history = history(settings(self.port));
        history.shared.prepared.set(()).expect("not yet");
        history
    }
}

fn settings(port: u16) -> ClickHouseSettings {
    let url = format!("http://127.0.0.1:{port}");
    ClickHouseSettings { pace: Duration::ZERO, ..ClickHouseSettings::new(url) }
}

async fn serve(
    stream: TcpStream,
    met: Arc<Mutex<VecDeque<Met>>>,
    note: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if stream.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if line.is_empty() {
                break;
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        note.lock().push(first);
        let next = met.lock().pop_front().unwrap_or(WELL);
        match next {
            Met::Broken => return Ok(()),
            Met::Ignored => std::future::pending::<()>().await,
            Met::Answered(status, code, body) => {
                let code =
                    code.map_or(String::new(), |code| format!("x-clickhouse-exception-code: {code}\r\n"));
                let length = body.len();
                let head = format!("HTTP/1.1 {status} Said\r\n{code}content-length: {length}\r\n\r\n{body}");
                stream.write_all(head.as_bytes()).await?;
            }
        }
    }
}

fn one() -> Arc<Batch> {
    transactions(vec![summary(1, T0, 5)])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_answer_is_sent_again_as_the_same() {
    let faulty = Faulty::start([Met::Broken, Met::Broken]).await;
    faulty.history().append(one()).await.expect("kept in the end");
    let asked = faulty.asked.lock().clone();
    assert!(asked.len() == 3 && asked.iter().all(|line| *line == asked[0]), "{asked:?}");
    assert!(asked[0].contains("insert_deduplication_token="), "{asked:?}");

    let faulty = Faulty::start([Met::Broken]).await;
    let page = faulty.history().transactions(&TransactionQuery::new(Window::all())).await;
    assert_eq!((page.expect("a page").items.len(), faulty.asked.lock().len()), (0, 2));

    let faulty = Faulty::start([Met::Broken, Met::Broken, Met::Broken]).await;
    let error = faulty.history().append(one()).await.expect_err("not for ever");
    assert_eq!((error.kind(), faulty.asked.lock().len()), (HistoryErrorKind::Unavailable, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_by_its_kind_and_not_sent_again() {
    use HistoryErrorKind::{Full, InvalidQuery, Overloaded, Unavailable};
    for (status, code, kind) in [
        (500, Some(252), Overloaded),
        (500, Some(241), Overloaded),
        (500, Some(159), Overloaded),
        (503, None, Overloaded),
        (429, None, Overloaded),
        (500, Some(243), Full),
        (500, Some(307), InvalidQuery),
        (403, Some(516), Unavailable),
        (404, Some(60), Unavailable),
        (301, None, Unavailable),
    ] {
        let met = Met::Answered(status, code, "DB::Exception: what the server says");
        let faulty = Faulty::start([met.clone(), met]).await;
        let history = faulty.history();
        let append = history.append(one()).await.expect_err("refused");
        let read = history.trace(trace_id(1)).await.expect_err("refused");
        assert_eq!((append.kind(), read.kind()), (kind, kind), "{status} {code:?}");
        assert_eq!(faulty.asked.lock().len(), 2, "{status} {code:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_do_not_come_or_make_no_sense_are_errors() {
    let faulty = Faulty::start([Met::Ignored]).await;
    let late = history(ClickHouseSettings { timeout: Duration::from_millis(50), ..settings(faulty.port) });
    late.shared.prepared.set(()).expect("not yet");
    let error = late.append(one()).await.expect_err("too late");
    assert_eq!((error.kind(), faulty.asked.lock().len()), (HistoryErrorKind::Unavailable, 1));

    for body in
        ["Code: 1", "\u{7f}", "all of this is no row of any table that we know of, however it is read"]
    {
        let faulty = Faulty::start(std::iter::repeat_n(Met::Answered(200, None, body), 9)).await;
        let history = faulty.history();
        let query = TransactionQuery::new(Window::all());
        for error in [
            history.transactions(&query).await.map(drop).expect_err("no rows"),
            history.route_stats(Window::all()).await.map(drop).expect_err("no rows"),
            history.logs(&LogQuery::new(Window::all())).await.map(drop).expect_err("no rows"),
            history.trace(trace_id(1)).await.map(drop).expect_err("no rows"),
        ] {
            assert_eq!(error.kind(), HistoryErrorKind::Unavailable, "{body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_is_used_as_soon_as_it_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let history = history(settings(port));
    for _ in 0..2 {
        let error = history.append(one()).await.expect_err("nobody is there");
        assert_eq!((error.kind(), error.is_retryable()), (HistoryErrorKind::Unavailable, true));
    }
    // As the statements go that make the tables: the version is asked for third.
    let version = "\u{1}\0\0\0\0\0\0\0";
    let faulty = Faulty::start_at(port, [WELL, WELL, Met::Answered(200, None, version)]).await;
    history.append(one()).await.expect("kept");
    let asked = faulty.asked.lock().clone();
    assert!(asked.last().is_some_and(|line| line.contains("INSERT%20INTO%20transactions")), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_bounded_and_the_rest_refused_at_once() {
    let faulty = Faulty::start([Met::Ignored]).await;
    let history = Arc::new(faulty.history());
    let mut appends = JoinSet::new();
    let append = |history: Arc<ClickHouseHistory>| async move { history.append(one()).await };
    appends.spawn(append(history.clone()));
    while faulty.asked.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // One is being written, as many wait as may, and there are three more.
    (0..QUEUE + 3).for_each(|_| drop(appends.spawn(append(history.clone()))));
    for _ in 0..3 {
        let ended = appends.join_next().await.expect("one").expect("no panic");
        assert_eq!(ended.expect_err("refused").kind(), HistoryErrorKind::Overloaded);
    }
}
