use proptest::prelude::*;
use serde_json::json;

use super::{Class, Masker};

/// A text, and the same masked.
const CASES: [(&str, &str); 20] = [
    ("주민번호 900101-1234568 로", "주민번호 [resident] 로"),
    ("rrn=9001011234568&x=1", "rrn=[resident]&x=1"),
    ("201123-3847561", "[resident]"),
    ("９００１０１－１２３４５６８", "[resident]"),
    ("910505-5678906", "[foreigner]"),
    ("ts=1702012345678", "ts=1702012345678"),
    ("법인등록번호 130111-0006246", "법인등록번호 130111-0006246"),
    ("spanId=f01012345678ab90", "spanId=f01012345678ab90"),
    ("010-1234-5678입니다", "[phone]입니다"),
    ("01012345678로", "[phone]로"),
    ("+82 10-1234-5678", "[phone]"),
    ("(02)123-4567", "[phone]"),
    ("대표 1588-1234", "대표 1588-1234"),
    ("여권번호 M12345678", "여권번호 [passport]"),
    ("build M12345678", "build M12345678"),
    ("면허 11-21-123456-01", "면허 [licence]"),
    ("사업자 104-86-56659", "사업자 [business]"),
    ("카드 4518-8430-3341-0176", "카드 [card]"),
    ("order_no=4518843033410177", "order_no=4518843033410177"),
    ("신한 계좌 110-123-456789", "신한 계좌 [account]"),
];

/// What the forms are written like elsewhere.
const MORE: [(&str, &str); 77] = [
    // Residents: with and without label, separators of all kinds, what is not seen in between.
    ("900101 1234568", "[resident]"),
    ("900101\u{2013}1234568", "[resident]"),
    ("9001\u{200b}01-12345\u{200d}68.", "[resident]."),
    ("주민등록번호:2011233847561", "주민등록번호:[resident]"),
    ("id 9001011234568", "id [resident]"),
    ("1702012345678", "1702012345678"),
    ("주민번호 1702013345678", "주민번호 [resident]"),
    ("900231-1234568", "900231-1234568"),
    ("901301-1234568", "901301-1234568"),
    ("000229-3234568", "[resident]"),
    ("010229-3234568", "010229-3234568"),
    ("12900101-1234568", "12900101-1234568"),
    ("900101-12345689", "900101-12345689"),
    ("trace-id: 900101-1234568", "trace-id: 900101-1234568"),
    ("550e8400-900101-1234568", "550e8400-900101-1234568"),
    ("법인 130111-1234567", "법인 130111-1234567"),
    // Licences and passports.
    ("11-21-123456-01", "[licence]"),
    ("99-21-123456-01", "99-21-123456-01"),
    ("서울 95-123456-78", "[licence]"),
    ("면허번호 112112345601", "면허번호 [licence]"),
    ("M123A4567 is the passport", "[passport] is the passport"),
    ("passport=m12345678", "passport=[passport]"),
    ("여권 발급. build M12345678", "여권 발급. build M12345678"),
    ("passport XM12345678", "passport XM12345678"),
    // Businesses.
    ("104-86-56659", "[business]"),
    ("104-86-56658", "104-86-56658"),
    ("사업자등록번호 1048656659", "사업자등록번호 [business]"),
    // Telephones.
    ("tel-010-1234-5678", "tel-[phone]"),
    ("(010-1234-5678)", "([phone])"),
    ("010.1234.5678", "[phone]"),
    ("+821012345678", "[phone]"),
    ("+82-2-1234-5678", "[phone]"),
    ("+82 (0)10 1234 5678", "+82 [phone]"),
    ("kim,01012345678,1", "kim,[phone],1"),
    ("070-1234-5678", "[phone]"),
    ("031) 123-4567", "[phone]"),
    ("0212345678", "0212345678"),
    ("전화 0212345678", "전화 [phone]"),
    ("011-234-5678", "[phone]"),
    ("1899-1234", "1899-1234"),
    ("192.168.10.1234", "192.168.10.1234"),
    ("requestId=01012345678", "requestId=01012345678"),
    ("elapsed_ms: 01012345678", "elapsed_ms: 01012345678"),
    ("account 010-1234-5678", "account [phone]"),
    // Cards and accounts.
    ("4518843033410176", "[card]"),
    ("4518-8430-3341-0177", "4518-8430-3341-0177"),
    ("378282246310005", "[card]"),
    ("1234567890123456", "1234567890123456"),
    ("order 110-123-456789", "order 110-123-456789"),
    ("국민은행 12345678901234", "국민은행 [account]"),
    ("계좌 조회. 처리 12345678901", "계좌 조회. 처리 12345678901"),
    // Names.
    ("김철수님", "[name]님"),
    ("김철수 과장이 승인", "[name] 과장이 승인"),
    ("이름: 홍길동", "이름: [name]"),
    ("{\"name\":\"남궁민수\"}", "{\"name\":\"[name]\"}"),
    ("고객님 이용자님 관리자님", "고객님 이용자님 관리자님"),
    ("주문이 완료", "주문이 완료"),
    ("성명=허준", "성명=[name]"),
    // Mail.
    ("a.b+c@mail.example.co.kr로", "[email]로"),
    ("kim@example.com-010-1234-5678", "[email]-[phone]"),
    ("<kim@example.com>", "<[email]>"),
    ("010-1234-5678¼kim@example.com", "[phone]¼[email]"),
    ("Object@1a2b3c.4d", "Object@1a2b3c.4d"),
    ("@scope/pkg@1.2.3", "@scope/pkg@1.2.3"),
    // Secrets.
    ("password=hunter22&x=1", "password=[secret]&x=1"),
    ("{\"apiKey\": \"a b c d\"}", "{\"apiKey\": \"[secret]\"}"),
    ("Authorization: Bearer abcdefghijklmnop.qr", "Authorization: Bearer [secret]"),
    ("bearer of the message", "bearer of the message"),
    ("redis://user:pa55@10.0.0.1:6379", "redis://user:[secret]@10.0.0.1:6379"),
    ("password must not be empty", "password must not be empty"),
    ("password: hunter22 for kim", "password: [secret] for kim"),
    ("db.password = hunter22", "db.password = [secret]"),
    ("비밀번호: hunter22", "비밀번호: [secret]"),
    ("Cookie: JSESSIONID=0123456789ABCDEF0123", "Cookie: [secret]"),
    ("csrf_token=abcdefghij0123456789", "csrf_token=[secret]"),
    ("unexpected token: name", "unexpected token: name"),
    ("at line 3: hunter22", "at line 3: hunter22"),
];

#[test]
fn every_form_is_masked_and_nothing_else() {
    let masker = Masker::default();
    let mask = |(text, right): (&str, &'static str)| (masker.mask(text).into_string(), right);
    let wrong: Vec<_> = CASES.into_iter().chain(MORE).map(mask).filter(|(got, right)| got != right).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_class_is_met_and_can_be_switched_off() {
    let all: Vec<_> = CASES.into_iter().chain(MORE).collect();
    for class in Class::ALL {
        let tag = format!("[{}]", class.as_str());
        assert!(all.iter().any(|(_, right)| right.contains(&tag)), "no case has {tag}");
        let without = Masker::without(&[class]);
        for (text, _) in &all {
            assert!(!without.mask(text).as_str().contains(&tag), "{text}");
        }
        assert_eq!(class.as_str().parse(), Ok(class));
    }
    assert!("none".parse::<Class>().is_err());
}

#[test]
fn several_in_a_line_each_have_their_place() {
    let text = "김철수님 ０１０-1234-5678, kim@example.com";
    let found = Masker::default().find(text);
    let parts: Vec<_> = found.iter().map(|found| (found.class, &text[found.range.clone()])).collect();
    let right =
        [(Class::Name, "김철수"), (Class::Phone, "０１０-1234-5678"), (Class::Email, "kim@example.com")];
    assert_eq!(parts, right);
}

#[test]
fn decomposed_hangul_is_the_same() {
    use unicode_normalization::UnicodeNormalization;
    let text: String = "계좌 110-123-456789 이름: 홍길동".nfd().collect();
    let masked = Masker::default().mask(&text);
    assert!(masked.as_str().contains("[account]") && masked.as_str().contains("[name]"), "{masked}");
}

#[test]
fn keys_of_a_document_are_the_context_of_their_values() {
    let document = json!({
        "message": "call 010-1234-5678",
        "customer": {"rrn": 9_001_011_234_568_u64, "phone": ["0212345678"], "password": "x y z w"},
        "trace_id": "01012345678012345678901234567890",
        "order_no": "4518843033410176", "start_us": 1_702_012_345_678_901_u64, "kim@example.com": 1,
        "name": "김철수",
    });
    let right = json!({
        "message": "call [phone]",
        "customer": {"rrn": "[resident]", "phone": ["[phone]"], "password": "[secret]"},
        "trace_id": "01012345678012345678901234567890",
        "order_no": "4518843033410176", "start_us": 1_702_012_345_678_901_u64, "[email]": 1,
        "name": "[name]",
    });
    assert_eq!(*Masker::default().mask_json(document).as_value(), right);
}

/// Pieces that forms are made of, so that texts near to them are drawn.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,13}",
        Just("010-1234-5678".to_owned()),
        Just("900101-1234568".to_owned()),
        Just("4518-8430-3341-0176".to_owned()),
        Just("kim@example.com".to_owned()),
        "(계좌|여권|전화|주민|김철수|님|name|rrn|ts|password|Bearer|M12345678|서울|이름)",
        "[-=:. ,+()@\"'/\\\\\n]",
        "\\PC{1,3}",
        "[\u{200b}\u{ff10}-\u{ff19}\u{1100}-\u{11ff}\u{300}-\u{320}\u{fdfa}]{1,4}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn places_are_valid_and_in_order(text in pieces()) {
        let mut at = 0;
        for found in Masker::default().find(&text) {
            prop_assert!(found.range.start >= at && found.range.end > found.range.start);
            prop_assert!(text.get(found.range.clone()).is_some());
            at = found.range.end;
        }
    }

    #[test]
    fn masking_again_changes_nothing(text in pieces()) {
        let masker = Masker::default();
        let once = masker.mask(&text);
        prop_assert_eq!(masker.mask(once.as_str()), once);
    }

    #[test]
    fn any_text_is_no_panic(text in any::<String>()) {
        let masker = Masker::default();
        let once = masker.mask(&text);
        prop_assert_eq!(masker.mask(once.as_str()), once);
    }
}

/// Were the cost quadratic in any of these, the test would not end.
#[test]
fn a_long_text_of_any_pattern_comes_to_its_end() {
    let parts = [
        "a:",
        "a@",
        "1 ",
        "1-",
        "1",
        "(",
        "+8",
        "=\"",
        "password=",
        "계",
        "김",
        "김 ",
        "a.",
        "://a:",
        "Bearer ",
        "\u{301}",
        "가\u{11a8}",
        "a_",
        "계좌1",
    ];
    for part in parts {
        let text = part.repeat(100_000 / part.len());
        let found = Masker::default().find(&text);
        assert!(found.iter().all(|found| text.get(found.range.clone()).is_some()), "{part:?}");
    }
}
