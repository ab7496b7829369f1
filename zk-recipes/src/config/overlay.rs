//! Several layers of JSON as one value: what a later layer says replaces what an earlier one said, object by object,
//! field by field. Pure.

use serde_json::Value;

/// Lays one value over another. Objects are merged; anything else replaces what was there; `null` takes it away
/// (as RFC 7396 says).
pub(super) fn lay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                if value.is_null() {
                    below.remove(&key);
                } else {
                    lay(below.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (below, above @ Value::Object(_)) => {
            *below = Value::Object(serde_json::Map::new());
            lay(below, above);
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(layers: &[Value], expected: &Value) {
        let mut all = Value::Null;
        for layer in layers {
            lay(&mut all, layer.clone());
        }
        assert_eq!(all, *expected, "{layers:?}");
    }

    #[test]
    fn later_layers_replace_field_by_field() {
        check(&[], &Value::Null);
        check(
            &[json!({"a": 1, "b": {"c": 2}})],
            &json!({"a": 1, "b": {"c": 2}}),
        );
        check(
            &[
                json!({"a": 1, "b": {"c": 2, "d": 3}}),
                json!({"b": {"c": 4}, "e": [5]}),
            ],
            &json!({"a": 1, "b": {"c": 4, "d": 3}, "e": [5]}),
        );
        check(
            &[json!({"a": [1, 2]}), json!({"a": [3]})],
            &json!({"a": [3]}),
        );
    }

    #[test]
    fn null_takes_away_and_leaves_nothing_behind() {
        check(
            &[json!({"a": 1, "b": 2}), json!({"a": null})],
            &json!({"b": 2}),
        );
        check(
            &[json!({"a": {"b": null, "c": 1}})],
            &json!({"a": {"c": 1}}),
        );
        check(
            &[json!({"a": 1}), json!({"a": {"b": null}})],
            &json!({"a": {}}),
        );
        check(&[json!({"a": 1}), json!(7)], &json!(7));
    }
}
