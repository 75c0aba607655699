#![allow(clippy::single_range_in_vec_init)] // A list of one range is what is meant.

use std::ops::Range;

use http::header::{ACCEPT_ENCODING, RANGE};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::encoding::accepted;
use super::path::wanted;
use super::range::{Selection, select};
use super::settings::CachePolicy;
use super::*;
use crate::gate::percent_encode;

fn with(name: http::HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_bytes(value.as_bytes()).unwrap())])
}

fn selected(value: &str, length: u64) -> Selection {
    select(&with(RANGE, value), length)
}

#[test]
fn ranges_are_read_as_the_rfc_has_them() {
    let parts = |ends: &[(u64, u64)]| {
        Selection::Parts(ends.iter().map(|&(start, end)| Range { start, end }).collect())
    };
    for (value, expected) in [
        ("bytes=0-4", parts(&[(0, 5)])),
        ("BYTES=0-4", parts(&[(0, 5)])),
        ("bytes=5-", parts(&[(5, 10)])),
        ("bytes=-3", parts(&[(7, 10)])),
        ("bytes=-30", parts(&[(0, 10)])),
        ("bytes=2-99999999999999999999999", parts(&[(2, 10)])),
        ("bytes=0-0, -1", parts(&[(0, 1), (9, 10)])),
        ("bytes=8-9,0-1", parts(&[(8, 10), (0, 2)])),
        ("bytes=0-1,20-30", parts(&[(0, 2)])),
        ("bytes=10-", Selection::Unsatisfiable),
        ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
        ("bytes=-0", Selection::Unsatisfiable),
        ("bytes=10-11,-0", Selection::Unsatisfiable),
        ("bytes=4-2", Selection::Whole),
        ("bytes=", Selection::Whole),
        ("bytes=-", Selection::Whole),
        ("bytes=a-b", Selection::Whole),
        ("bytes=+1-2", Selection::Whole),
        ("bytes 0-1", Selection::Whole),
        ("lines=0-1", Selection::Whole),
        ("bytes=0-8,1-9", Selection::Whole),
    ] {
        assert_eq!(selected(value, 10), expected, "{value}");
    }
    assert_eq!(selected("bytes=0-", 0), Selection::Whole, "there is no part of nothing");
    let many = |count: u64| (0..count).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(",");
    assert!(
        matches!(selected(&format!("bytes={}", many(16)), 100), Selection::Parts(ranges) if ranges.len() == 16)
    );
    assert_eq!(selected(&format!("bytes={}", many(17)), 100), Selection::Whole);
    let mut twice = with(RANGE, "bytes=0-1");
    twice.append(RANGE, HeaderValue::from_static("bytes=2-3"));
    assert_eq!(select(&twice, 10), Selection::Whole);
}

proptest! {
    #[test]
    fn what_is_selected_lies_in_the_file_and_is_no_longer(
        specs in prop::collection::vec((prop::option::of(any::<u16>()), prop::option::of(any::<u16>())), 1..20),
        length in 0_u64..70_000,
    ) {
        let text = |number: Option<u16>| number.map(|number| number.to_string()).unwrap_or_default();
        let list: Vec<_> = specs.iter().map(|(a, b)| format!("{}-{}", text(*a), text(*b))).collect();
        if let Selection::Parts(ranges) = selected(&format!("bytes={}", list.join(",")), length) {
            prop_assert!(!ranges.is_empty() && ranges.len() <= 16);
            prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
            prop_assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= length);
        }
    }

    #[test]
    fn one_range_is_what_slicing_gives(first in 0_usize..40, last in 0_usize..40, length in 1_usize..30) {
        let data: Vec<usize> = (0..length).collect();
        let expected: Vec<usize> = data.iter().copied().filter(|at| (first..=last).contains(at)).collect();
        match selected(&format!("bytes={first}-{last}"), length as u64) {
            Selection::Parts(ranges) => {
                let range = usize::try_from(ranges[0].start).unwrap()..usize::try_from(ranges[0].end).unwrap();
                prop_assert_eq!(&data[range], &*expected);
            }
            Selection::Unsatisfiable => prop_assert!(first <= last && expected.is_empty()),
            Selection::Whole => prop_assert!(first > last),
        }
    }

    #[test]
    fn any_field_is_survived(value in "(bytes=)?[ -~]{0,60}", length in any::<u64>()) {
        if let Selection::Parts(ranges) = selected(&value, length) {
            prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
        }
    }

    #[test]
    fn no_path_names_anything_above_the_root(path in "(/|[.]|%2e|%2F|%5c|%00|a|%|[\\\\]){0,12}") {
        if let Some(wanted) = wanted(&path)
            && !wanted.name.is_empty()
        {
            let names: Vec<_> = wanted.name.split('/').collect();
            prop_assert!(names.iter().all(|name| !matches!(*name, "" | "." | "..")), "{:?}", names);
            prop_assert!(!wanted.name.contains(['\\', '\0']));
        }
    }

    #[test]
    fn an_encoded_name_is_read_back(name in "[^/\\\\\u{0}]{1,20}") {
        prop_assume!(name != "." && name != "..");
        let read = wanted(&format!("/{}", percent_encode(&name))).unwrap();
        prop_assert_eq!(read.name, name);
    }
}

#[test]
fn codings_are_chosen_by_weight_then_size() {
    for (value, expected) in [
        ("gzip, deflate, br, zstd", &["br", "zstd", "gzip"][..]),
        ("gzip;q=1.0, br;q=0.5", &["gzip", "br"]),
        ("GZIP", &["gzip"]),
        ("x-gzip", &["gzip"]),
        ("*", &["br", "zstd", "gzip"]),
        ("br;q=0, *;q=0.1", &["zstd", "gzip"]),
        ("gzip;q=0", &[]),
        ("gzip;q=0.000", &[]),
        ("gzip;q=0.5, identity", &[]),
        ("gzip;q=0.001", &["gzip"]),
        ("gzip;q=2, br;q=x", &[]),
        ("identity", &[]),
        ("", &[]),
    ] {
        let names: Vec<_> =
            accepted(&with(ACCEPT_ENCODING, value)).iter().map(|coding| coding.name).collect();
        assert_eq!(names, expected, "{value}");
    }
    assert!(accepted(&HeaderMap::new()).is_empty());
}

#[test]
fn the_longest_cache_pattern_that_fits_wins() {
    let pair = |pattern: &str, value: &str| (pattern.to_owned(), value.to_owned());
    let policy = CachePolicy::new(&[
        pair("*", "no-cache"),
        pair("*.js", "max-age=60"),
        pair("/assets/*", "max-age=3600, immutable"),
    ])
    .unwrap();
    for (path, expected) in [
        ("index.html", "no-cache"),
        ("a/b/app.js", "max-age=60"),
        ("assets/app.js", "max-age=3600, immutable"),
        ("x/assets/app.js", "max-age=60"),
    ] {
        assert_eq!(policy.of(path).unwrap(), expected, "{path}");
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let refused = |change: fn(&mut FilesSettings)| {
        let mut settings = FilesSettings::default();
        change(&mut settings);
        Files::with_settings("www", settings).unwrap_err().to_string()
    };
    for index in ["", "a/b.html", "..", "../x"] {
        let settings = FilesSettings { index: Some(index.to_owned()), ..FilesSettings::default() };
        assert_eq!(settings.check(), Err(FilesError::Index(index.to_owned())));
    }
    for fallback in ["", "index.html", "/", "/../x", "/a/", "/%2e%2e/x"] {
        let settings = FilesSettings { fallback: Some(fallback.to_owned()), ..FilesSettings::default() };
        assert_eq!(settings.check(), Err(FilesError::Fallback(fallback.to_owned())));
    }
    assert!(refused(|settings| settings.cache = vec![("a/*".into(), "no-cache".into())]).contains("a/*"));
    assert!(
        refused(|settings| settings.cache = vec![("*".into(), "a\r\nb: c".into())]).contains("Cache-Control")
    );
    assert!(refused(|settings| settings.cache = vec![("*".into(), " ".into())]).contains("Cache-Control"));
}
