//! Meta's error numbers, and what each asks of the caller.
//!
//! The number that says most stands in `error_subcode`; Meta's reference also shows such numbers in `code`
//! ("Marketing API error codes"), so both are looked up in the same table, the subcode first. Numbers that are
//! in no table are judged by their `code` alone, and by what the answer says of itself (`is_transient`, its
//! status). Texts decide nothing: they change, and they come in the language of the person.

use std::time::Duration;

/// What a throttle holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every call of the app.
    App,
    /// Every call to one ad account.
    Account,
    /// The calls to one ad account that count as the same use case.
    UseCase,
    /// One kind of change to one object, such as the budget of an ad set. Everything else may go on.
    Action,
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Reconnect,
    NeedPermission,
    Gone,
    /// Wait as long as the headers say.
    WaitAsTold(Scope),
    /// Wait this long, whatever the headers say.
    WaitFixed(Scope, Duration),
    TryLater,
    MakeSmaller,
    Resume,
    Blocked,
    UpgradeVersion,
    FixInput,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Too many changes within a second: the next second is another one.
const BREATH: Duration = Duration::from_secs(1);

/// The move that a pair of numbers asks for; none when no table knows either.
pub(crate) fn next_move(code: i64, subcode: Option<i64>) -> Option<Move> {
    subcode.and_then(of_detail).or_else(|| of_detail(code)).or_else(|| of_code(code, subcode))
}

/// The large numbers, and 33: the same wherever they stand.
fn of_detail(number: i64) -> Option<Move> {
    Some(match number {
        33 => Move::Gone,
        3_191_001 | 1_815_694 => Move::NeedPermission,
        // Terms to accept, an Instagram or WhatsApp account to connect, an app to take live: only a person can.
        1_870_034 | 1_870_090 | 1_870_092 | 1_815_199 | 1_885_183 | 2_446_880 => Move::NeedPermission,
        // "Reduce the amount of data" and reports that time out or grow too large; and a deep copy of more
        // children than a synchronous call makes.
        1_487_534 | 1_504_018 | 1_504_038 | 1_504_045 | 2_490_547 | 1_885_194 => Move::MakeSmaller,
        1_504_043 | 1_504_044 | 2_853_001 | 3_910_001 => Move::TryLater,
        // The app-wide limits of insights.
        1_504_022 | 1_504_039 => Move::WaitAsTold(Scope::App),
        // More than about a hundred changes a second by one app to one account.
        5_044_001 => Move::WaitFixed(Scope::Account, BREATH),
        // The budget of an ad set changed four times within the hour; it is closed for an hour.
        1_487_632 => Move::WaitFixed(Scope::Action, HOUR),
        // Ten changes of the account's spend cap a day; ads created up to the account's daily spend limit.
        1_885_172 | 1_487_225 => Move::WaitFixed(Scope::Action, DAY),
        // A chunk of a video did not arrive; `error_data` says where to go on.
        1_363_037 => Move::Resume,
        1_404_078 | 1_404_163 | 2_490_427 | 2_490_468 | 2_708_008 | 2_859_015 => Move::Blocked,
        _ => return None,
    })
}

fn of_code(code: i64, subcode: Option<i64>) -> Option<Move> {
    Some(match (code, subcode) {
        (190 | 102 | 104, _) => Move::Reconnect,
        // A video that cannot be seen, in the middle of the numbers for permissions.
        (222, _) => Move::FixInput,
        (3 | 10 | 200..=299, _) => Move::NeedPermission,
        (803, _) => Move::Gone,
        (4 | 341, _) => Move::WaitAsTold(Scope::App),
        // With 2446079 or without.
        (17 | 32 | 613, _) => Move::WaitAsTold(Scope::Account),
        (80_000..=80_014, _) => Move::WaitAsTold(Scope::UseCase),
        // A wrong combination of breakdowns or metrics comes with the code of a passing fault.
        (2, Some(1_504_041 | 1_504_042)) => Move::FixInput,
        (1 | 2 | 960 | 5000, _) => Move::TryLater,
        (368, _) => Move::Blocked,
        (2635, _) => Move::UpgradeVersion,
        (100 | 300 | 351 | 352 | 382 | 389 | 506 | 801 | 900, _) => Move::FixInput,
        (2500 | 2606 | 2607 | 2615 | 2641 | 2654 | 2695 | 2703 | 3018 | 6000 | 6001, _) => Move::FixInput,
        // Large numbers outside the table above name a fault of the input.
        (1_000_000.., _) => Move::FixInput,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subcode_speaks_first_and_may_stand_in_for_the_code() {
        assert_eq!(next_move(100, Some(33)), Some(Move::Gone));
        assert_eq!(next_move(100, Some(1_885_272)), Some(Move::FixInput));
        assert_eq!(next_move(1_487_534, None), Some(Move::MakeSmaller));
        assert_eq!(next_move(1_487_901, None), Some(Move::FixInput));
        assert_eq!(next_move(2, Some(1_504_041)), Some(Move::FixInput));
        assert_eq!(next_move(-3, Some(1_504_045)), Some(Move::MakeSmaller));
        assert_eq!(next_move(-3, None), None);
    }

    /// Holds the table above against the collected one, where that is at hand.
    #[test]
    fn every_documented_number_has_the_documented_move() {
        let path = "../../../shared/meta/spec/data/error_codes.json";
        let Ok(text) = std::fs::read_to_string(path) else { return };
        let table: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rows = table["codes"].as_array().unwrap();
        assert!(rows.len() > 150);
        for row in rows {
            let (code, subcode) = (row["code"].as_i64().unwrap(), row["subcode"].as_i64());
            let (class, retry) = (row["cls"].as_str().unwrap(), row["retry"].as_str().unwrap());
            let moved = next_move(code, subcode);
            let right = match (class, retry) {
                ("auth", _) => moved == Some(Move::Reconnect),
                ("permission" | "needs_user_action", _) => moved == Some(Move::NeedPermission),
                ("not_found", _) => moved == Some(Move::Gone),
                ("throttle_app", _) => moved == Some(Move::WaitAsTold(Scope::App)),
                ("throttle_qps", _) => moved == Some(Move::WaitFixed(Scope::Account, BREATH)),
                (_, "wait_hour") => moved == Some(Move::WaitFixed(Scope::Action, HOUR)),
                (_, "wait_day") => moved == Some(Move::WaitFixed(Scope::Action, DAY)),
                ("throttle_buc", _) => moved == Some(Move::WaitAsTold(Scope::UseCase)),
                ("throttle_user" | "throttle_account" | "throttle_page", _) => {
                    moved == Some(Move::WaitAsTold(Scope::Account))
                }
                ("transient", _) => moved == Some(Move::TryLater),
                ("split_request", _) => moved == Some(Move::MakeSmaller),
                ("media_retry", _) => moved == Some(Move::Resume),
                ("policy", _) => moved == Some(Move::Blocked),
                ("deprecated_version", _) => moved == Some(Move::UpgradeVersion),
                _ => moved == Some(Move::FixInput),
            };
            assert!(right, "{code}/{subcode:?} is {class}, {retry}, and we would {moved:?}");
        }
    }
}
