use super::*;
use crate::testing::{ClickHouseServer, conformance};

fn history(settings: ClickHouseSettings) -> ClickHouseHistory {
    ClickHouseHistory::open(settings, &Handle::current()).expect("settings that can be used")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_what_every_history_does() {
    let Some(server) = ClickHouseServer::start() else { return };
    conformance(|| async { Arc::new(history(server.settings())) as Arc<dyn History> }).await;
}
