use super::{bytes, duration, span};

#[test]
fn durations_keep_three_digits_and_change_their_unit() {
    for (us, text) in [
        (0, "0 µs"),
        (999, "999 µs"),
        (1_000, "1.00 ms"),
        (12_345, "12.3 ms"),
        (123_456, "123 ms"),
        (9_996, "10.0 ms"),
        (1_500_000, "1.50 s"),
        (59_990_000, "60.0 s"),
        (61_000_000, "1 m 01 s"),
        (7_380_000_000, "2 h 03 m"),
        (90_000_000_000, "1 d 01 h"),
    ] {
        assert_eq!(duration(us), text);
    }
    assert_eq!((span(59).as_str(), span(3_600).as_str()), ("59 s", "1 h 00 m"));
}

#[test]
fn sizes_change_their_unit() {
    for (count, text) in
        [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.50 KiB"), (5 << 20, "5.00 MiB"), (3 << 30, "3.00 GiB")]
    {
        assert_eq!(bytes(count), text);
    }
}
