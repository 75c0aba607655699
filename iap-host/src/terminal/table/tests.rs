use unicode_width::UnicodeWidthStr;

use super::super::Screen;
use super::super::paint::{Paint, Tone};
use super::{Cell, Kind, Table, cut, padded};

const COLUMNS: [(&str, Kind); 4] =
    [("time", Kind::Text), ("ms", Kind::Number), ("path", Kind::Shrinking), ("error", Kind::Shrinking)];

fn table() -> Table {
    let mut table = Table::new(&COLUMNS);
    table.row(["01:00".into(), 7.into(), "/".into(), "".into()]);
    table.row([
        "02:00".into(),
        1234.into(),
        "/주문/확인/결제하기".into(),
        Cell::toned("시간 초과", Tone::Bad),
    ]);
    table
}

fn screen(width: Option<usize>) -> Screen {
    Screen { paint: Paint::Off, width }
}

#[test]
fn columns_line_up_also_where_letters_take_two_places() {
    let shown = table().show(screen(None));
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "TIME     MS  PATH                 ERROR");
    assert_eq!(lines[1], "01:00     7  /");
    assert_eq!(lines[2], "02:00  1234  /주문/확인/결제하기  시간 초과");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [25, 30, 33, 36, 40, 200] {
        let shown = table().show(screen(Some(width)));
        for line in shown.lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
        assert!(shown.contains("1234"), "numbers are whole: {shown}");
    }
}

#[test]
fn what_is_spare_is_left_out_before_a_line_is_too_long() {
    let mut table = Table::new(&[
        ("id", Kind::Text),
        ("path", Kind::Shrinking),
        ("user", Kind::Spare),
        ("node", Kind::Spare),
    ]);
    table.row(["0123456789".into(), "/a/long/path".into(), "somebody".into(), "gateway".into()]);
    table.note("a line of its own");
    let heads = |width: usize| table.show(screen(Some(width))).lines().next().unwrap().to_owned();
    assert_eq!(heads(60), "ID          PATH          USER      NODE");
    assert_eq!(heads(41), "ID          PATH        USER      NODE", "10 places, 8, and 7");
    assert_eq!(heads(40), "ID          PATH          USER");
    assert_eq!(heads(31), "ID          PATH");
    assert_eq!(heads(16), "ID          PATH");
    assert!(table.show(screen(Some(16))).ends_with("\n  a line of its own\n"));
}

#[test]
fn what_is_cut_says_so_and_never_takes_more_room() {
    assert_eq!(cut("결제하기", 8), "결제하기");
    assert_eq!(cut("결제하기", 7), "결제하…");
    assert_eq!(cut("결제하기", 6), "결제…");
    assert_eq!((cut("abc", 1).as_str(), cut("abc", 0).as_str()), ("…", ""));
    assert_eq!(padded("주문", 6).width(), 6);
}

#[test]
fn texts_from_outside_do_nothing_to_the_terminal() {
    let mut table = Table::new(&COLUMNS);
    table.row(["\x1b[2J".into(), 1.into(), "a\nb\tc".into(), "\u{9b}31m\u{7}".into()]);
    let shown = table.show(screen(None));
    assert_eq!(shown.lines().count(), 2);
    assert!(!shown.contains(['\x1b', '\u{9b}', '\u{7}']), "{shown:?}");
}

#[test]
fn colours_do_not_move_columns() {
    let painted = table().show(Screen { paint: Paint::On, width: None });
    assert!(painted.contains("\x1b[31m시간 초과\x1b[0m"), "{painted:?}");
    assert!(painted.lines().nth(1).unwrap().starts_with("01:00     7  /"), "{painted:?}");
}
