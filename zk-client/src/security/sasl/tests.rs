use super::challenge::directives;
use super::*;

/// What Apache's server 3.8.0 sends first, with a nonce of our own.
const APACHE: &[u8] =
    b"realm=\"zk-sasl-md5\",nonce=\"OA6MG9tEQGm2hh\",charset=utf-8,algorithm=md5-sess";

fn exchange(user: &str, password: &str, challenge: &[u8]) -> (Sasl, String) {
    let mut sasl = Login::new(user, password).begin(0x1234);
    assert!(sasl.start().is_empty(), "the server begins");
    match sasl.on_challenge(challenge).unwrap() {
        Step::Send(token) => (sasl, String::from_utf8(token.to_vec()).unwrap()),
        Step::Done => panic!("the server has not proved anything yet"),
    }
}

/// The expected numbers come from a few lines of Python that also give `d388dad90d4bbd760a152321f2143af7` for
/// the example of RFC 2831, section 4, whose user, password and nonce these are.
#[test]
fn the_response_is_the_rfcs_formula() {
    let (mut sasl, response) = exchange("chris", "secret", APACHE);
    assert_eq!(
        response,
        "charset=utf-8,username=\"chris\",realm=\"zk-sasl-md5\",nonce=\"OA6MG9tEQGm2hh\",\
         cnonce=\"00000000000000000000000000001234\",digest-uri=\"zookeeper/zk-sasl-md5\",\
         nc=00000001,qop=auth,maxbuf=65536,response=b3d83cccb289da1f17ead26ddcc61da3"
    );
    assert_eq!(
        sasl.on_challenge(b"rspauth=a9e83d86301d69bd017caf5be9c75742"),
        Ok(Step::Done)
    );
    assert_eq!(sasl.on_challenge(b"rspauth=1"), Err(SaslError::Over));
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    for proof in [
        &b"rspauth=00000000000000000000000000000000"[..],
        b"",
        b"stale=true",
    ] {
        let (mut sasl, _) = exchange("chris", "secret", APACHE);
        assert_eq!(sasl.on_challenge(proof), Err(SaslError::ServerNotProved));
    }
}

#[test]
fn a_server_without_sasl_answers_with_nothing() {
    let mut sasl = Login::new("chris", "secret").begin(1);
    assert_eq!(sasl.on_challenge(b""), Err(SaslError::NotOffered));
}

#[test]
fn what_is_not_spoken_here_is_named() {
    let check = |challenge: &[u8], message: &str| {
        let mut sasl = Login::new("chris", "secret").begin(1);
        let error = sasl.on_challenge(challenge).unwrap_err();
        assert_eq!(error.to_string(), message);
    };
    check(
        b"realm=\"a\",algorithm=md5-sess",
        "the server's challenge has nonce \"\"; expected one",
    );
    check(
        b"nonce=\"a\",algorithm=sha-256",
        "the server's challenge has algorithm \"sha-256\"; expected md5-sess",
    );
    check(
        b"nonce=\"a\",algorithm=md5-sess,qop=\"auth-int,auth-conf\"",
        "the server's challenge has qop \"auth-int,auth-conf\"; expected auth",
    );
    for (challenge, at) in [
        (&b"nonce"[..], 5),
        (b"=a", 0),
        (b"nonce=\"a", 8),
        (b"nonce=\"a\\", 9),
    ] {
        check(
            challenge,
            &format!("the server's challenge cannot be read at byte {at}"),
        );
    }
}

#[test]
fn directives_are_read_with_quotes_escapes_blanks_and_empty_elements() {
    let read = directives(b" ,REALM=\"a\\\"b,c\" ,, nonce = x ,qop=\"auth\"").unwrap();
    let read: Vec<_> = read
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    assert_eq!(
        read,
        [("realm", &b"a\"b,c"[..]), ("nonce", b"x"), ("qop", b"auth")]
    );
}

#[test]
fn quotes_in_a_name_are_escaped() {
    let (_, response) = exchange("a\"b\\c", "secret", APACHE);
    assert!(response.contains("username=\"a\\\"b\\\\c\","), "{response}");
}

#[test]
fn text_is_hashed_in_latin_1_where_that_can_express_it() {
    assert_eq!(hashed("ü", true), [0xfc]);
    assert_eq!(hashed("€", true), "€".as_bytes());
    assert_eq!(encoded("ü", true), "ü".as_bytes());
}

#[test]
fn a_login_does_not_show_its_password() {
    let shown = format!("{:?}", Login::new("bob", "hunter2").begin(7));
    assert!(
        shown.contains("bob") && !shown.contains("hunter2"),
        "{shown}"
    );
}

proptest::proptest! {
    #[test]
    fn no_challenge_makes_it_panic(token in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let _verdict = Login::new("a", "b").begin(1).on_challenge(&token);
    }
}
