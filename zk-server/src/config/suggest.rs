//! "Did you mean": the nearest known spelling of a word nobody knows.

/// The closest candidate, if it is close enough to be a slip of the finger. Case never counts as a
/// difference, because wrong case is the commonest slip of all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let tolerance = (word.len() / 3).clamp(1, 3);
    candidates
        .filter_map(|candidate| {
            let lower: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
            // Cheap first: a long hostile key must not cost a table per candidate.
            if lower.len().abs_diff(word.len()) > tolerance {
                return None;
            }
            let distance = distance(&word, &lower);
            (distance <= tolerance).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits of one character (insert, delete, replace, swap with the neighbour) between two words.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, &l) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &r) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(l != r);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && left[row - 1] == r && right[column - 1] == l;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_of_the_finger_are_understood_and_strangers_are_not() {
        let known = ["tickTime", "initLimit", "dataDir", "dataLogDir", "start"];
        for (word, expected) in [
            ("tickTme", Some("tickTime")),
            ("ticktime", Some("tickTime")),
            ("tikcTime", Some("tickTime")),
            ("datadri", Some("dataDir")),
            ("initLimits", Some("initLimit")),
            ("stat", Some("start")),
            ("", None),
            ("banana", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn a_hostile_word_is_cheap() {
        assert_eq!(
            nearest(&"x".repeat(1 << 20), ["tickTime"].into_iter()),
            None
        );
    }
}
