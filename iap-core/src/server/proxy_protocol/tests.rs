use super::*;

#[test]
fn a_header_is_waited_for_wherever_it_is_cut() {
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    binary.extend([192, 0, 2, 1, 10, 0, 0, 1, 0, 80, 0, 90]);
    for header in [
        b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::7 ::1 5000 80\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary,
    ] {
        for end in 0..header.len() {
            assert!(decide(&header[..end]).is_none(), "{:?}", String::from_utf8_lossy(&header[..end]));
        }
        assert_eq!(decide(&header).unwrap().unwrap().0, header.len());
    }
}

#[test]
fn a_line_that_does_not_end_is_not_waited_for() {
    let line = format!("PROXY TCP4 {}", "1".repeat(MAX_LINE));
    assert!(decide(&line.as_bytes()[..MAX_LINE - 1]).is_none());
    assert!(decide(line.as_bytes()).is_some_and(|decided| decided.is_err()));
    assert!(decide(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \n").is_some_and(|decided| decided.is_err()));
    assert!(decide(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n\r\n").is_some_and(|decided| decided.is_err()));
    assert!(decide(b"PR X PR").is_some_and(|decided| decided.is_err()));
    assert!(decide(b"GET / HTTP/1.1\r\n").is_some_and(|decided| decided.is_err()));
}
