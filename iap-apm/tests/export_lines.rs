//! The export of log lines, with a bridge that takes in more than the lines of the application; in a process of its own, since a
//! process has one subscriber.

use std::sync::Arc;
use std::time::Duration;

use iap_apm::{
    Apm, ExportProtocol, ExportSettings, History, LogQuery, OtlpService, SqliteHistory, SqliteOptions, Window,
};
use iap_core::{Route, RouteTable, Server, Target};
use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

async fn lines(history: &Arc<dyn History>) -> Vec<String> {
    let lines = history.logs(&LogQuery::new(Window::all())).await.expect("readable");
    lines.into_iter().map(|line| line.target).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sending_writes_into_the_log_is_not_sent() {
    let apm = Apm::builder().service_name("gateway").build().expect("an APM");
    let layer = apm.tracing_layer().with_max_level(tracing::Level::TRACE);
    tracing_subscriber::registry().with(layer.filtered()).init();

    let received: Arc<dyn History> =
        Arc::new(SqliteHistory::temporary(SqliteOptions::default()).expect("a history"));
    let otlp = Target::service("otlp", OtlpService::new(received.clone()));
    let routes = RouteTable::new([Route::new("otlp", "/", otlp)]).expect("one route");
    let server = Server::builder().listen("127.0.0.1:0".parse().expect("an address")).workers(1);
    let server = server.application(Handle::current()).routes(routes).start().expect("a server");
    let mut settings = ExportSettings::new(format!("http://{}", server.addresses()[0]));
    (settings.metrics, settings.traces, settings.logs) = (false, true, true);
    settings.protocol = ExportProtocol::Grpc;
    let exporter = apm.export(settings, &Handle::current()).expect("an export");

    tracing::warn!(target: "shop", "one line");
    let sent = async {
        while exporter.logs().sent == 0 {
            apm.flush().await.expect("flushed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sent).await.expect("sent");
    // What sending has written is in the history by now, and would have been taken to be sent.
    apm.flush().await.expect("flushed");
    let own = lines(apm.history()).await;
    assert!(own.iter().any(|target| target.starts_with("h2::")), "{own:?}");
    exporter.stop(Duration::from_secs(60)).await;
    apm.flush().await.expect("flushed");
    let ledger = exporter.logs();
    assert_eq!((ledger.made, ledger.sent), (1, 1), "{:?}", lines(&received).await);
    assert_eq!(lines(&received).await, ["shop"]);
    assert_eq!(exporter.traces().made, 0);
    assert!(format!("{exporter:?}").contains("logs: Ledger { made: 1, sent: 1"), "{exporter:?}");
}
