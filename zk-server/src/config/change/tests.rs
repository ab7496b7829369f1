//! What 3.9.5 answered to these, as three members with `reconfigEnabled=true`, asked without auth: a change that nothing
//! else spoke against was then refused with −102, or with −13 where too few of the new voters were there.

use super::super::peers::PeerAddress;
use super::*;

const JOINER: &str = "server.9=10.9.8.7:1:2;3";
const SAME: &str =
    "server.1=127.0.0.1:11:21;2181,server.2=127.0.0.1:12:22;2182,server.3=127.0.0.1:13:23;2183";

fn three() -> Ensemble {
    let member = |id: u16| Member {
        id: ServerId::new(id.into()),
        role: Role::Participant,
        addresses: vec![PeerAddress {
            host: "127.0.0.1".to_owned(),
            quorum_port: 10 + id,
            election_port: 20 + id,
        }],
        client: None,
    };
    let members = (1..=3).map(member).map(|member| (member.id, member));
    Ensemble::new(ServerId::new(1), members.collect())
}

/// Those who vote afterwards, or what is wrong.
fn judge(ensemble: &Ensemble, change: &Change<'_>) -> Result<Vec<i64>, Unfit> {
    let quorum = ensemble.quorum_after(change)?;
    Ok(quorum.voters().into_iter().map(ServerId::number).collect())
}

fn join(joining: &str) -> Result<Vec<i64>, Unfit> {
    let change = Change {
        joining: Some(joining),
        ..Change::default()
    };
    judge(&three(), &change)
}

fn leave(leaving: &str) -> Result<Vec<i64>, Unfit> {
    let change = Change {
        leaving: Some(leaving),
        ..Change::default()
    };
    judge(&three(), &change)
}

fn replace(new_members: &str) -> Result<Vec<i64>, Unfit> {
    let change = Change {
        new_members: Some(new_members),
        joining: Some("is not looked at"),
        ..Change::default()
    };
    judge(&three(), &change)
}

const ARGUMENTS: Result<Vec<i64>, Unfit> = Err(Unfit::Arguments);
const GARBAGE: Result<Vec<i64>, Unfit> = Err(Unfit::Garbage);

#[test]
fn who_joins() {
    for (joining, voters) in [
        ("", Ok(vec![1, 2, 3])),
        (JOINER, Ok(vec![1, 2, 3, 9])),
        (" server.9 = 10.9.8.7:1:2:observer;3 , ", Ok(vec![1, 2, 3])),
        ("9=10.9.8.7:1:2:observer;3", Ok(vec![1, 2, 3])),
        ("peer.9=10.9.8.7:1:2:observer;3", Ok(vec![1, 2, 3])),
        ("server.1=10.9.8.7:1:2;3", Ok(vec![1, 2, 3])),
        ("server.3=127.0.0.1:1:2:observer;3", Ok(vec![1, 2])),
        (
            "server.3=a:1:2:observer;3,server.2=b:1:2:observer;3",
            ARGUMENTS,
        ),
        ("some thing", ARGUMENTS),
        ("server.9=10.9.8.7:1:2:observer", ARGUMENTS),
        ("server.9=10.9.8.7:1;3", ARGUMENTS),
        ("server.9=10.9.8.7:a:2;3", ARGUMENTS),
        ("server.9=10.9.8.7:1:2;x", ARGUMENTS),
        ("server.9=10.9.8.7:1:1;3", ARGUMENTS),
        ("server.9=10.9.8.7:1:2:king;3", ARGUMENTS),
        ("server.9=10.9.8.7:1:2|10.9.8.8:1:2;3", ARGUMENTS),
        ("server.x=10.9.8.7:1:2;3", GARBAGE),
        ("server.9=10.9.8.7:70000:2;3", GARBAGE),
        ("server.9=10.9.8.7:-1:2;3", GARBAGE),
        ("server.9=10.9.8.7:1:2;70000", GARBAGE),
    ] {
        assert_eq!(join(joining), voters, "{joining}");
    }
}

#[test]
fn two_members_have_no_address_in_common() {
    let other = "server.8=10.9.8.7:1:4:observer;10.9.8.7:5";
    for (line, voters) in [
        ("10.9.8.7:2:3:observer;6", Ok(vec![1, 2, 3])),
        ("10.9.8.7:2:1:observer;6", ARGUMENTS),
        ("10.9.8.7:5:6:observer;7", ARGUMENTS),
        ("127.0.0.1:11:21:observer;2181", Ok(vec![1, 2, 3])),
        ("localhost:11:21:observer;2181", Ok(vec![1, 2, 3])),
    ] {
        assert_eq!(join(&format!("{other},server.9={line}")), voters, "{line}");
    }
}

#[test]
fn who_leaves() {
    for (leaving, voters) in [
        ("3", Ok(vec![1, 2])),
        (" 3 , ", Ok(vec![1, 2])),
        ("77", Ok(vec![1, 2, 3])),
        ("2,3", ARGUMENTS),
        ("1,2,3", ARGUMENTS),
        ("abc", GARBAGE),
    ] {
        assert_eq!(leave(leaving), voters, "{leaving}");
    }
    let change = Change {
        joining: Some(JOINER),
        leaving: Some("1,2"),
        ..Change::default()
    };
    assert_eq!(judge(&three(), &change), Ok(vec![3, 9]));
}

#[test]
fn all_members_are_named() {
    let lines = SAME.replace(',', "\n");
    for (members, voters) in [
        (SAME, Ok(vec![1, 2, 3])),
        (lines.as_str(), Ok(vec![1, 2, 3])),
        ("server.1=a:1:2,server.2=b:1:2", Ok(vec![1, 2])),
        ("", ARGUMENTS),
        ("server.1=a:1:2", ARGUMENTS),
        ("server.1=a:1:2:observer", GARBAGE),
        ("server.1=a:1:2,server.2=a:1:2:observer", GARBAGE),
        ("some thing", ARGUMENTS),
        ("server.x=a:1:2", GARBAGE),
    ] {
        assert_eq!(replace(members), voters, "{members}");
    }
}

#[test]
fn all_members_and_more_are_named() {
    for (more, voters) in [
        ("version=1f", Ok(vec![1, 2, 3])),
        ("version=xyz", GARBAGE),
        ("tickTime=2000", ARGUMENTS),
        ("server.9=a:b:2;3", ARGUMENTS),
        ("server.9=a:70000:2;3", GARBAGE),
        ("server.9=\\u00", GARBAGE),
        ("group.1=1:2,group.2=3", Ok(vec![1, 2, 3])),
        ("group.1=1:2", ARGUMENTS),
        ("group.1=1:2,group.2=2:3", ARGUMENTS),
        ("group.1=1:2,group.2=3:9", GARBAGE),
        ("group.1=1:2,group.2=3:9,weight.9=1", Ok(vec![1, 2, 3])),
        ("group.1=1:2,group.2=3:x", GARBAGE),
        ("group.x=1:2:3", GARBAGE),
        ("weight.1=3", ARGUMENTS),
        ("group.1=1:2:3,weight.1=x", GARBAGE),
    ] {
        assert_eq!(replace(&format!("{SAME},{more}")), voters, "{more}");
    }
}

#[test]
fn one_voter_is_enough_where_none_stands_alone() {
    let mut ensemble = three();
    ensemble.fewest_voters = 1;
    let change = Change {
        leaving: Some("2,3"),
        ..Change::default()
    };
    assert_eq!(judge(&ensemble, &change), Ok(vec![1]));
}

#[test]
fn groups_do_not_change_step_by_step() {
    let mut ensemble = three();
    let members: BTreeSet<_> = ensemble.voters().collect();
    ensemble.groups.insert(1, members);
    assert_eq!(judge(&ensemble, &Change::default()), ARGUMENTS);
}
