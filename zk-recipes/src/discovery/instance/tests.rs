use super::*;

/// As Curator 5.4 writes an instance; the payload is Spring Cloud's.
const SPRING: &str = concat!(
    r#"{"name":"svc","id":"id-1","address":"10.0.0.1","port":80,"sslPort":null,"#,
    r#""payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","#,
    r#""id":"id-1","name":"svc","metadata":{"instance_status":"UP","zone":"a"}},"#,
    r#""registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","#,
    r#""uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},"#,
    r#"{"value":"address","variable":true},{"value":":","variable":false},"#,
    r#"{"value":"port","variable":true}]}}"#
);

fn text(instance: &Instance) -> String {
    String::from_utf8(instance.encode().unwrap()).unwrap()
}

fn sample() -> Instance {
    Instance::new("svc")
        .id("id-1")
        .address("10.0.0.1")
        .port(80)
        .registered_at(1_700_000_000_000)
}

#[test]
fn an_instance_is_written_as_curator_and_spring_write_it() {
    let zone = ("zone".to_owned(), "a".to_owned());
    let spring = sample().spring([zone]).unwrap();
    assert_eq!(text(&spring), SPRING);
    let read = Instance::decode("svc", "id-1", SPRING.as_bytes()).unwrap();
    assert_eq!(read, spring);
    assert_eq!(text(&read), SPRING, "kept byte for byte");
    assert_eq!(read.metadata("zone"), Some("a"));
    assert_eq!(read.url().as_deref(), Some("http://10.0.0.1:80"));

    let plain = sample().ssl_port(443).service_type(ServiceType::Static);
    let expected = r#"{"name":"svc","id":"id-1","address":"10.0.0.1","port":80,"sslPort":443,"payload":null,"registrationTimeUTC":1700000000000,"serviceType":"STATIC","uriSpec":null}"#;
    assert_eq!(text(&plain), expected);
}

#[test]
fn what_is_missing_or_unknown_is_no_error() {
    let bare = Instance::decode("svc", "x", b"{}").unwrap();
    assert_eq!((bare.service(), bare.name()), ("svc", "x"));
    assert!(bare.is_enabled() && bare.host().is_none() && bare.url().is_none());
    let more = br#"{"name":"svc","id":"y","future":[1],"serviceType":null,"enabled":null,"payload":["java.util.ArrayList",[1]]}"#;
    let more = Instance::decode("svc", "y", more).unwrap();
    assert_eq!(more.payload_text(), r#"["java.util.ArrayList",[1]]"#);
    assert_eq!(more.kind(), ServiceType::Dynamic);
}

#[test]
fn what_is_wrong_is_an_error() {
    for wrong in [
        "",
        "rubbish",
        "[]",
        r#"{"port":"eighty"}"#,
        r#"{"port":70000}"#,
        r#"{"serviceType":"SOMETIMES"}"#,
        r#"{"uriSpec":{"parts":7}}"#,
        "\u{0}",
    ] {
        let read = Instance::decode("svc", "x", wrong.as_bytes());
        assert!(read.is_err(), "{wrong}: {read:?}");
    }
}

#[test]
fn out_of_service_is_said_in_both_ways() {
    let up = sample().spring([]).unwrap();
    let down = up.clone().enabled(false);
    assert!(up.is_enabled() && !down.is_enabled());
    assert!(text(&down).contains(r#""enabled":false"#));
    assert_eq!(down.metadata("instance_status"), Some("OUT_OF_SERVICE"));
    assert_eq!(down.enabled(true), up);
    let springs = text(&up).replace(r#""UP""#, r#""OUT_OF_SERVICE""#);
    let springs = Instance::decode("svc", "id-1", springs.as_bytes()).unwrap();
    assert!(!springs.is_enabled());
}

#[test]
fn an_address_is_put_together_from_its_parts() {
    let check = |spec: &str, expected: &str| {
        let instance = sample().ssl_port(443).uri(spec);
        assert_eq!(instance.url().as_deref(), Some(expected), "{spec}");
    };
    check(
        "{scheme}://{address}:{ssl-port}/{name}?{id}",
        "https://10.0.0.1:443/svc?id-1",
    );
    check(
        "{[}{service-type}{]}{registration-time-utc}",
        "{dynamic}1700000000000",
    );
    check(" a b { port } ", " a b 80 ");
    check("no variables", "no variables");
    check("{nothing}x{open", "x{open");
    check("", "");
}
