//! A server alone: every word, and what the words cost.

use super::*;

#[test]
fn a_standalone_server_says_what_java_says() {
    let server = standalone(422);
    let cases = [
        (Word::Ruok, recorded!("standalone/ruok.txt")),
        (Word::Isro, recorded!("standalone/isro.txt")),
        (Word::Gtmk, recorded!("standalone/gtmk.txt")),
        (Word::Stmk, recorded!("standalone/stmk.txt")),
        (Word::Srvr, recorded!("standalone/srvr.txt")),
        (Word::Conf, recorded!("standalone/conf.txt")),
        (Word::Dump, recorded!("standalone/dump.txt")),
        (Word::Wchs, recorded!("standalone/wchs.txt")),
        (Word::Wchc, recorded!("standalone/wchc.txt")),
        (Word::Wchp, recorded!("standalone/wchp.txt")),
        (Word::Dirs, recorded!("standalone/dirs.txt")),
        (Word::Hash, recorded!("standalone/hash.txt")),
        (Word::Crst, recorded!("standalone/crst.txt")),
        (Word::Srst, recorded!("standalone/srst.txt")),
        (Word::TelnetClose, ""),
    ];
    for (word, text) in cases {
        assert_eq!(ask(&server, word), text, "{word}");
    }
}

#[test]
fn connections_are_listed_as_java_lists_them() {
    let [first, second] = clients();
    let mut server = standalone(423);
    server.connections = vec![asker(42496), first.clone(), second.clone()];
    assert_eq!(ask(&server, Word::Stat), recorded!("standalone/stat.txt"));
    server.connections = vec![first.clone(), asker(42510), second.clone()];
    assert_eq!(ask(&server, Word::Cons), recorded!("standalone/cons.txt"));
    let reset = |client: ConnectionFacts| ConnectionFacts {
        stats: crate::metrics::ConnectionStats::default().view(),
        ..client
    };
    server.connections = vec![asker(42586), reset(first), reset(second)];
    assert_eq!(
        ask(&server, Word::Cons),
        recorded!("standalone/cons-after-reset.txt")
    );
}

#[test]
fn words_say_what_they_change() {
    let everything = Whitelist::new(Some("*"), false);
    let then = |word| answer(word, 7i64.to_be_bytes(), &everything, &standalone(1)).then;
    assert_eq!(then(Word::Srst), Then::ResetServer);
    assert_eq!(then(Word::Crst), Then::ResetConnections);
    assert_eq!(then(Word::Stmk), Then::SetTraceMask(7));
    assert_eq!(then(Word::Srvr), Then::Nothing);
    // A refused word changes nothing.
    let nothing = Whitelist::new(None, false);
    let refused = answer(Word::Srst, [0; 8], &nothing, &standalone(1));
    assert_eq!(refused.then, Then::Nothing);
    assert_eq!(
        refused.text,
        "srst is not executed because it is not in the whitelist.\n"
    );
    let telnet = answer(Word::TelnetClose, [0; 8], &nothing, &standalone(1));
    assert_eq!(
        telnet.text,
        "telnet close is not executed because it is not in the whitelist.\n"
    );
}

#[test]
fn a_server_without_leader_says_so() {
    let server = Server {
        serving: Serving::Nobody,
        ..standalone(1)
    };
    let cases = [
        (Word::Ruok, recorded!("not-serving/ruok.txt")),
        (Word::Isro, recorded!("not-serving/isro.txt")),
        (Word::Gtmk, recorded!("not-serving/gtmk.txt")),
        (Word::Srvr, recorded!("not-serving/srvr.txt")),
        (Word::Stat, recorded!("not-serving/stat.txt")),
        (Word::Cons, recorded!("not-serving/cons.txt")),
        (Word::Conf, recorded!("not-serving/conf.txt")),
        (Word::Dump, recorded!("not-serving/dump.txt")),
        (Word::Mntr, recorded!("not-serving/mntr.txt")),
        (Word::Wchs, recorded!("not-serving/wchs.txt")),
        (Word::Wchc, recorded!("not-serving/wchc.txt")),
        (Word::Wchp, recorded!("not-serving/wchp.txt")),
        (Word::Dirs, recorded!("not-serving/dirs.txt")),
        (Word::Hash, recorded!("not-serving/hash.txt")),
        (Word::Crst, recorded!("not-serving/crst.txt")),
        (Word::Srst, recorded!("not-serving/srst.txt")),
    ];
    for (word, text) in cases {
        assert_eq!(ask(&server, word), text, "{word}");
    }
    assert_eq!(server.asked.get(), 0, "nothing else was looked at");
    let everything = Whitelist::new(Some("*"), false);
    for word in [Word::Srst, Word::Crst] {
        assert_eq!(
            answer(word, [0; 8], &everything, &server).then,
            Then::Nothing
        );
    }
}

#[test]
fn the_environment_has_javas_keys_in_javas_order() {
    let keys = |text: &str| {
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split('=').next().unwrap().to_owned())
            .collect();
        lines
    };
    assert_eq!(
        keys(&ask(&standalone(1), Word::Envi)),
        keys(recorded!("standalone/envi.txt"))
    );
}

#[test]
fn ruok_costs_nothing() {
    let server = standalone(1);
    for word in [Word::Ruok, Word::Isro, Word::Gtmk] {
        ask(&server, word);
    }
    assert_eq!(server.asked.get(), 0);
}

#[test]
fn a_long_report_is_cut_and_stops_asking() {
    let connections = (0..10_000).map(|_| asker(1)).collect();
    let server = Server {
        limit: 1000,
        connections,
        ..standalone(1)
    };
    let everything = Whitelist::new(Some("*"), false);
    let cons = answer(Word::Cons, [0; 8], &everything, &server);
    assert!(cons.cut && cons.text.len() < 1100);
    assert!(
        cons.text
            .ends_with(")\n... cut at 1000 bytes, there is more\n"),
        "{}",
        cons.text
    );
    assert!(server.asked.get() < 40, "asked for {}", server.asked.get());
    for word in [Word::Dump, Word::Wchc, Word::Wchp, Word::Stat, Word::Mntr] {
        let server = Server {
            limit: 20,
            ..standalone(1)
        };
        assert!(answer(word, [0; 8], &everything, &server).cut, "{word}");
    }
}
