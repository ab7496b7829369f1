//! The catalogue, tested.

use crate::catalog::*;

#[test]
fn names_are_unique() {
    for scenario in SCENARIOS {
        assert_eq!(named(scenario.name), [*scenario]);
    }
}

#[test]
fn a_beginning_names_a_family() {
    assert_eq!(named("reads").len(), 3);
    assert_eq!(named("writes").len(), 4);
    assert_eq!(named("three").len(), 11);
    assert_eq!(named("nonsense"), []);
    assert_eq!(named(""), []);
}
