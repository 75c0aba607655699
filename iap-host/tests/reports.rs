//! Reports that the real host makes by itself: kept, listed, sent, made once.

mod common;

use std::process::{Command, Stdio};

use common::{FREE_PORTS, Host, Process, eventually, free_port, host_command, http, python};
use serde_json::Value;

/// The minute it is in Seoul, which has no summer time, and the day.
fn now() -> (String, String) {
    let date = |format: &str| {
        let output = Command::new("date").env("TZ", "UTC-9").arg(format).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    (date("+%H:%M"), date("+%Y-%m-%d"))
}

#[test]
fn a_report_is_made_when_it_is_due_and_not_again() {
    let (port, smtp) = (free_port(), free_port());
    let mut receivers = python("told.py");
    receivers.env("PORT", port.to_string()).env("SMTP", smtp.to_string()).stdout(Stdio::null());
    let _receivers = Process(receivers.spawn().unwrap());
    let seen = || http::try_get(([127, 0, 0, 1], port).into(), "/seen").map(|answer| answer.json());
    eventually("the receivers", seen);
    let (at, _) = now();
    let config = format!(
        "{FREE_PORTS}alerts: {{channels: {{mail: {{mail: {{host: 127.0.0.1, port: {smtp}, security: none, from: iap@example.com, to: [boss@example.com]}}}}}}}}
reports:
  directory: kept
  schedules:
    - {{name: daily, kind: inspection, period: day, at: '{at}', notify: [mail]}}
    - {{name: english, kind: executive, period: day, at: '{at}', language: en}}
"
    );
    let host = Host::start_with(&config);
    let (_, day) = now();
    let listed = eventually("both reports", || {
        let reports = host.admin("/api/reports")["reports"].as_array()?.clone();
        (reports.len() == 2).then_some(reports)
    });
    let mut files: Vec<&str> = listed.iter().filter_map(|report| report["file"].as_str()).collect();
    files.sort_unstable();
    assert_eq!(files, [format!("daily-{day}.html"), format!("english-{day}.html")]);
    let page = http::get(host.admin, &format!("/api/reports/kept/{}", files[0]));
    assert!(page.status == 200 && page.text().contains("정기 점검 보고서"), "{}", page.text());
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    assert!(
        http::get(host.admin, &format!("/api/reports/kept/{}", files[1])).text().contains("Executive report")
    );
    for other in ["nothing-2026-01-01.html", "..%2Fiap.yaml", "iap.yaml"] {
        let status = http::get(host.admin, &format!("/api/reports/kept/{other}")).status;
        assert!(status == 404 || status == 400, "{other}: {status}");
    }
    let mail = eventually("the mail", || seen()?["mails"].get(0).cloned());
    assert_eq!(mail["subject"], Value::from(format!("[info] 정기 점검 보고서 {day}")));

    // Another process finds them there.
    let made = std::fs::metadata(host.path().join("kept").join(files[0])).unwrap().modified().unwrap();
    host.signal("-KILL");
    let config = config.replace("english", "later");
    host.write("iap.yaml", &config);
    let mut next = host_command(host.path());
    next.args(["run", "-c"]).arg(host.path().join("iap.yaml")).stderr(Stdio::null());
    let _next = Process(next.spawn().unwrap());
    let later = host.path().join("kept").join(format!("later-{day}.html"));
    eventually("what is new is made", || later.exists().then_some(()));
    let again = std::fs::metadata(host.path().join("kept").join(files[0])).unwrap().modified().unwrap();
    assert_eq!(made, again, "what is there is not made again");
    assert_eq!(seen().unwrap()["mails"].as_array().unwrap().len(), 1, "nor sent again");
}
