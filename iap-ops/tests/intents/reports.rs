//! Reports as Markdown and as HTML.

use std::sync::Arc;

use iap_apm::{History, SqliteHistory, SqliteOptions};
use iap_ops::report::{html, markdown};
use iap_ops::{Language, Live, ReportKind};

use crate::load::{Load, MINUTE, MS, NOW_US, assistant};
use crate::shop::shop;

const BASE: &str = "http://127.0.0.1:9900";

#[tokio::test]
async fn every_kind_is_one_file_in_both_languages() {
    let shop = shop().await;
    let window = shop.between("2026-11-20", None).expect("a window");
    for kind in ReportKind::ALL {
        for (language, tag, word) in [(Language::Korean, "ko", "구간"), (Language::English, "en", "Window")]
        {
            let report = shop.report(kind, window, language).await.expect("a report");
            let page = html(&report, BASE);
            assert!(page.contains(&format!("<html lang=\"{tag}\">")) && page.contains(word), "{kind}");
            assert!(page.contains("2026-11-20T00:00:00+09:00"), "{kind}: the window");
            for banned in ["<script", "<link", "<img", "@import", "url(", "javascript:"] {
                assert!(!page.contains(banned), "{kind}: {banned}");
            }
            for link in page.split("href=\"").skip(1) {
                assert!(link.starts_with(BASE), "{kind}: {}", link.get(..60).unwrap_or(link));
            }
            assert_eq!(page.matches("<section>").count(), page.matches("</section>").count());
            assert!(page.contains("<svg"), "{kind}: a chart");
            let text = markdown(&report, BASE);
            let mut columns = None;
            for line in text.lines() {
                // A row has as many cells as its head.
                let cells = line.starts_with('|').then(|| line.replace("\\|", "").matches('|').count());
                assert!(columns.is_none() || cells.is_none() || columns == cells, "{kind}: {line}");
                columns = cells;
            }
            assert!(text.contains("](http://127.0.0.1:9900/api/"), "{kind}: queries");
            assert!(!text.contains('{') && !page.contains("{}"), "{kind}");
        }
    }
}

#[tokio::test]
async fn names_from_outside_are_no_markup() {
    let mut load = Load::new();
    for n in 0..20 {
        load.add("<b>|x\"'&`", NOW_US - 10 * MINUTE + n * MS, MS, 502, &[]);
    }
    for row in &mut load.batch.transactions {
        row.error = Some("<script>alert(1)</script>".into());
        row.message = Some("a | b ](javascript:x)".into());
    }
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    history.append(Arc::new(load.batch)).await.expect("kept");
    let assistant = assistant(Live::new(Arc::new(history)));
    let window = assistant.between("2026-11-25T03:00:00Z", None).expect("a window");
    let report = assistant.report(ReportKind::Incident, window, Language::English).await.expect("a report");
    let page = html(&report, "http://127.0.0.1:9900/\"><script>");
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    let text = markdown(&report, BASE);
    assert!(!text.contains("<script") || text.contains("\\<script"), "{text}");
    assert!(text.contains("a \\| b \\](javascript:x)"), "{text}");
}

#[tokio::test]
async fn windows_are_dates_or_times() {
    let shop = shop().await;
    let window = shop.between("2026-11-01", Some("2026-11-02")).expect("a day");
    assert_eq!(window.length_us(), 24 * 60 * MINUTE);
    assert_eq!(shop.between("2026-11-01T00:00:00+09:00", Some("2026-11-02")), Some(window));
    for (from, to) in
        [("2026-11-02", "2026-11-01"), ("yesterday", "2026-11-01"), ("2026-11-01", "2026-13-01"), ("", "")]
    {
        assert_eq!(shop.between(from, Some(to)), None, "{from} {to}");
    }
}
