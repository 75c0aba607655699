use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::{Citation, Origin, Query, RunbookSettings, Runbooks};
use crate::cause::{CauseKind, RootCause};
use crate::detect::{Ack, Incident, IncidentState, Severity};
use crate::question::Language;
use crate::zone::Zone;

const PAY: &str = "# 결제 런북\n\n## 연결 거부\n업스트림 `10.0.0.9:8443`이 connection refused 이면 결제사 상태를 확인한다.\n\n\
    ```sh\n# 이 줄은 제목이 아니다\n```\n## 정산\n매월 말일에 확인한다.\n";
const ORDERS: &str =
    "# Orders\nSlow statements on table orders: check the index on customer.\n# Mail\nThe queue of mail.\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pay.md"), PAY).unwrap();
    fs::create_dir(folder.path().join("db")).unwrap();
    fs::write(folder.path().join("db/orders.md"), ORDERS).unwrap();
    fs::write(folder.path().join("notes.txt"), "# Not Markdown\npay").unwrap();
    folder
}

async fn find(runbooks: &Arc<Runbooks>, text: &str, names: &[&str]) -> Vec<Citation> {
    let query = Query { text: text.into(), names: names.iter().map(|name| (*name).to_owned()).collect() };
    runbooks.find(query, Vec::new(), (Language::Korean, Zone::default())).await
}

fn places(found: &[Citation]) -> Vec<(&str, &str)> {
    found.iter().map(|one| (one.file.as_str(), one.heading.as_str())).collect()
}

#[tokio::test]
async fn passages_are_found_by_names_and_by_questions_in_both_languages() {
    let folder = folder();
    let runbooks = Runbooks::open(RunbookSettings::new(folder.path())).unwrap();
    let found =
        find(&runbooks, "지금 문제의 원인을 알려줘", &["10.0.0.9:8443", "connection refused by 10.0.0.9"])
            .await;
    assert_eq!(places(&found), [("pay.md", "연결 거부")]);
    assert!(found[0].excerpt.starts_with("업스트림 `10.0.0.9:8443`이"), "{found:?}");
    let found = find(&runbooks, "결제 연결 거부되면?", &[]).await;
    assert_eq!(places(&found), [("pay.md", "연결 거부")]);
    let found = find(&runbooks, "what is wrong", &["SELECT * FROM orders WHERE customer = ?"]).await;
    assert_eq!(places(&found), [("db/orders.md", "Orders")]);
    assert_eq!(find(&runbooks, "지금 문제의 원인을 알려줘", &["checkout"]).await, []);
    assert_eq!(find(&runbooks, "\" OR * NEAR( : ^", &["\"", "' --"]).await, []);
}

#[tokio::test]
async fn what_has_changed_is_indexed_anew() {
    let folder = folder();
    let runbooks = Runbooks::open(RunbookSettings::new(folder.path())).unwrap();
    fs::write(folder.path().join("new.md"), "# Checkout\nWhat to do when checkout hangs.").unwrap();
    fs::remove_file(folder.path().join("pay.md")).unwrap();
    runbooks.refresh();
    assert_eq!(places(&find(&runbooks, "", &["checkout"]).await), [("new.md", "Checkout")]);
    assert_eq!(find(&runbooks, "", &["10.0.0.9:8443"]).await, []);
    let before = runbooks.files.lock().index.clone();
    runbooks.refresh();
    assert!(Arc::ptr_eq(&before, &runbooks.files.lock().index), "nothing has changed");
}

#[tokio::test]
async fn nothing_outside_of_the_folder_is_read_and_all_is_bounded() {
    let (folder, outside) = (folder(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret.md"), "# Secret\nthe vault of checkout").unwrap();
    symlink(outside.path().join("secret.md"), folder.path().join("link.md")).unwrap();
    symlink(outside.path(), folder.path().join("linked")).unwrap();
    symlink(folder.path(), folder.path().join("db/round")).unwrap();
    symlink(folder.path().join("pay.md"), folder.path().join("also.md")).unwrap();
    fs::write(folder.path().join(".hidden.md"), "# Hidden\ncheckout").unwrap();
    fs::write(folder.path().join("large.md"), format!("# Large\ncheckout {}", "x".repeat(2_000))).unwrap();
    fs::write(folder.path().join("bytes.md"), b"# Bytes\ncheckout \xff\xfe").unwrap();
    let settings = RunbookSettings { max_file_bytes: 1_000, ..RunbookSettings::new(folder.path()) };
    let runbooks = Runbooks::open(settings.clone()).unwrap();
    assert_eq!(find(&runbooks, "the vault of checkout", &["checkout"]).await, []);
    let status = runbooks.status();
    assert_eq!((status.files, status.left_out), (3, 3), "pay, orders and also; not link, large and bytes");
    let few = Runbooks::open(RunbookSettings { max_files: 1, ..settings.clone() }).unwrap();
    assert_eq!((few.status().files, few.status().left_out), (1, 5));
    let small = Runbooks::open(RunbookSettings { max_bytes: 300, ..settings }).unwrap();
    assert!(small.status().files < 3 && small.status().files > 0, "{:?}", small.status());
    assert!(Runbooks::open(RunbookSettings::new(folder.path().join("pay.md"))).is_err());
}

#[tokio::test]
async fn incidents_of_the_past_are_found_by_what_they_were_due_to() {
    let folder = tempfile::tempdir().unwrap();
    let runbooks = Runbooks::open(RunbookSettings::new(folder.path())).unwrap();
    let incident = |id: u64, name: &str, note: &str| {
        let cause = RootCause::new(CauseKind::Upstream, name);
        let acks = vec![Ack { at_s: 1, who: "kim".into(), note: note.into() }];
        let (state, resolved_s) = (IncidentState::Resolved, Some(200));
        let (severity, signals) = (Severity::Warning, Vec::new());
        let (began_s, detected_s, more, previous) = (100, 110, 0, None);
        Incident {
            id,
            state,
            severity,
            began_s,
            detected_s,
            resolved_s,
            cause,
            signals,
            more,
            acks,
            previous,
        }
    };
    let find = async |past: Vec<Incident>, name: &str| {
        let query = Query { text: String::new(), names: vec![name.to_owned()] };
        runbooks.find(query, past, (Language::Korean, Zone::default())).await
    };
    let past = vec![incident(7, "10.0.0.9:8443", "인증서를 바꿈"), incident(8, "mail", "")];
    let found = find(past.clone(), "10.0.0.9:8443").await;
    assert_eq!(
        (found.len(), found[0].origin, found[0].file.as_str()),
        (1, Origin::Incident, "#7"),
        "{found:?}"
    );
    assert!(found[0].excerpt.starts_with("인증서를 바꿈"), "what people noted comes first: {found:?}");
    assert_eq!(find(past.clone(), "nothing-else").await, []);
    // What is noted later is found as well.
    let mut later = past;
    later[1].acks.push(Ack { at_s: 2, who: "kim".into(), note: "queue of orders was full".into() });
    assert_eq!(find(later, "orders").await[0].file, "#8");
}
