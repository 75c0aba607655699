use super::super::hsperf::parse;
use super::super::hsperf::tests::file;
use super::*;

#[test]
fn the_counters_of_a_jvm_become_readings() {
    let bytes = file(
        &[
            ("sun.rt.javaCommand", Err("/opt/shop/shop.jar --password=secret")),
            ("java.property.java.vm.version", Err("17.0.1+12")),
            ("sun.gc.generation.0.space.0.name", Err("eden")),
            ("sun.gc.generation.0.space.0.used", Ok(1_000)),
            ("sun.gc.generation.0.space.0.capacity", Ok(2_000)),
            ("sun.gc.generation.0.space.0.maxCapacity", Ok(4_000)),
            ("sun.gc.metaspace.used", Ok(500)),
            ("sun.gc.metaspace.maxCapacity", Ok(i64::MAX)),
            ("java.threads.live", Ok(17)),
            ("java.cls.loadedClasses", Ok(100)),
            ("java.cls.sharedLoadedClasses", Ok(400)),
            ("sun.rt.safepointTime", Ok(2_000_000_000)),
        ],
        true,
    );
    let counters = parse(&bytes).unwrap();
    let identity = Identity { uid: 1000, inner: 7, handles_quit: true };
    let place = Place { pid: 7, identity, path: PathBuf::new() };
    let jvm = describe(&place, &counters, None);
    assert_eq!((jvm.name.as_str(), jvm.version.as_str()), ("shop.jar", "17.0.1+12"), "no arguments");
    let known = describe(&place, &counters, Some(("shop", "2".to_owned())));
    assert_eq!((known.name.as_str(), known.instance.as_str()), ("shop", "2"));
    let mut readings = Readings::default();
    take(&mut readings, &counters, Some(300));
    let value = |name: &str, pool: &str| {
        let is_it = |reading: &&super::super::Reading| {
            reading.name == name
                && reading.labels.get("jvm.memory.pool.name").is_none_or(|known| known == pool)
        };
        readings.list.iter().find(is_it).map(|reading| reading.value)
    };
    assert_eq!(
        (value("jvm.memory.used", "eden"), value("jvm.memory.used", "metaspace")),
        (Some(1e3), Some(500.0))
    );
    assert_eq!(
        (value("jvm.memory.limit", "eden"), value("jvm.memory.limit", "metaspace")),
        (Some(4e3), None)
    );
    assert_eq!(
        value("jvm.memory.used_after_last_gc", "eden"),
        Some(300.0),
        "of the only generation there is"
    );
    assert_eq!((value("jvm.thread.count", ""), value("jvm.class.loaded", "")), (Some(17.0), Some(500.0)));
    assert_eq!(value("jvm.safepoint.time", ""), Some(2.0));
}

#[test]
fn a_file_that_is_not_the_jvms_own_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let uid = rustix::process::geteuid().as_raw();
    let place = |name: &str, uid| Place {
        pid: 7,
        identity: Identity { uid, inner: 7, handles_quit: false },
        path: directory.path().join(name),
    };
    std::fs::write(directory.path().join("7"), b"x").unwrap();
    std::os::unix::fs::symlink(directory.path().join("7"), directory.path().join("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        directory.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(place("7", uid).read(), Some(b"x".to_vec()));
    assert_eq!(place("7", uid + 1).read(), None, "of another user");
    for name in ["link", "pipe", "none"] {
        assert_eq!(place(name, uid).read(), None, "{name}");
    }
}
