//! Meta's error codes and their classification.
//!
//! The most specific code is in `error_subcode`. Meta's reference also shows such codes in `code` ("Marketing API error
//! codes"), so both are looked up in the same table, the subcode first. Codes in no table are classified by their
//! `code` alone, and by the response's `is_transient` and status. Texts do not count: they change, and they come in the
//! user's language.

use std::time::Duration;

/// The calls that a throttle blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleScope {
    /// Every call of the app.
    App,
    /// Every call to one ad account.
    Account,
    /// The calls to one ad account that count as the same use case.
    UseCase,
    /// One kind of change to one object, such as the budget of an ad set. Other calls are not blocked.
    Action,
}

/// The class of an error, which decides how the caller handles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    Reconnect,
    NeedPermission,
    NotFound,
    /// Throttled for as long as the headers say.
    RateLimited(ThrottleScope),
    /// Throttled for this time, whatever the headers say.
    RateLimitedFor(ThrottleScope, Duration),
    Transient,
    RequestTooLarge,
    UploadInterrupted,
    Blocked,
    UnsupportedVersion,
    InvalidInput,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The wait after too many changes within one second.
const BURST_DELAY: Duration = Duration::from_secs(1);

/// Classifies a code and subcode; `None` when neither is known.
pub(crate) fn classify(code: i64, subcode: Option<i64>) -> Option<ErrorClass> {
    subcode
        .and_then(class_of_subcode)
        .or_else(|| class_of_subcode(code))
        .or_else(|| class_of_code(code, subcode))
}

/// Classifies 33 and the large codes, which mean the same in `code` and in `error_subcode`.
fn class_of_subcode(number: i64) -> Option<ErrorClass> {
    Some(match number {
        33 => ErrorClass::NotFound,
        3_191_001 | 1_815_694 => ErrorClass::NeedPermission,
        // Terms to accept, an Instagram or WhatsApp account to connect, an app to switch to live mode: a person must
        // act.
        1_870_034 | 1_870_090 | 1_870_092 | 1_815_199 | 1_885_183 | 2_446_880 => ErrorClass::NeedPermission,
        // "Reduce the amount of data", reports that time out or grow too large, and a deep copy of more children than a
        // synchronous call copies.
        1_487_534 | 1_504_018 | 1_504_038 | 1_504_045 | 2_490_547 | 1_885_194 => ErrorClass::RequestTooLarge,
        1_504_043 | 1_504_044 | 2_853_001 | 3_910_001 => ErrorClass::Transient,
        // The app-wide limits of insights.
        1_504_022 | 1_504_039 => ErrorClass::RateLimited(ThrottleScope::App),
        // More than about a hundred changes a second by one app to one account.
        5_044_001 => ErrorClass::RateLimitedFor(ThrottleScope::Account, BURST_DELAY),
        // The budget of an ad set was changed four times within the hour; changes are blocked for an hour.
        1_487_632 => ErrorClass::RateLimitedFor(ThrottleScope::Action, HOUR),
        // Ten changes of the account's spend cap a day; ads created up to the account's daily spend limit.
        1_885_172 | 1_487_225 => ErrorClass::RateLimitedFor(ThrottleScope::Action, DAY),
        // A chunk of a video did not arrive; `error_data` names the byte to resume at.
        1_363_037 => ErrorClass::UploadInterrupted,
        1_404_078 | 1_404_163 | 2_490_427 | 2_490_468 | 2_708_008 | 2_859_015 => ErrorClass::Blocked,
        _ => return None,
    })
}

fn class_of_code(code: i64, subcode: Option<i64>) -> Option<ErrorClass> {
    Some(match (code, subcode) {
        (190 | 102 | 104, _) => ErrorClass::Reconnect,
        // A video that is not visible, although the code is among those for permissions.
        (222, _) => ErrorClass::InvalidInput,
        (3 | 10 | 200..=299, _) => ErrorClass::NeedPermission,
        (803, _) => ErrorClass::NotFound,
        (4 | 341, _) => ErrorClass::RateLimited(ThrottleScope::App),
        // With or without subcode 2446079.
        (17 | 32 | 613, _) => ErrorClass::RateLimited(ThrottleScope::Account),
        (80_000..=80_014, _) => ErrorClass::RateLimited(ThrottleScope::UseCase),
        // A wrong combination of breakdowns or metrics has the code of a transient fault.
        (2, Some(1_504_041 | 1_504_042)) => ErrorClass::InvalidInput,
        (1 | 2 | 960 | 5000, _) => ErrorClass::Transient,
        (368, _) => ErrorClass::Blocked,
        (2635, _) => ErrorClass::UnsupportedVersion,
        (100 | 300 | 351 | 352 | 382 | 389 | 506 | 801 | 900, _) => ErrorClass::InvalidInput,
        (2500 | 2606 | 2607 | 2615 | 2641 | 2654 | 2695 | 2703 | 3018 | 6000 | 6001, _) => {
            ErrorClass::InvalidInput
        }
        // Large codes outside the table above are input errors.
        (1_000_000.., _) => ErrorClass::InvalidInput,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subcode_speaks_first_and_may_stand_in_for_the_code() {
        assert_eq!(classify(100, Some(33)), Some(ErrorClass::NotFound));
        assert_eq!(classify(100, Some(1_885_272)), Some(ErrorClass::InvalidInput));
        assert_eq!(classify(1_487_534, None), Some(ErrorClass::RequestTooLarge));
        assert_eq!(classify(1_487_901, None), Some(ErrorClass::InvalidInput));
        assert_eq!(classify(2, Some(1_504_041)), Some(ErrorClass::InvalidInput));
        assert_eq!(classify(-3, Some(1_504_045)), Some(ErrorClass::RequestTooLarge));
        assert_eq!(classify(-3, None), None);
    }

    /// Compares the table above with the collected one, where that file exists.
    #[test]
    fn every_documented_code_has_the_documented_class() {
        let path = "../../../shared/meta/spec/data/error_codes.json";
        let Ok(text) = std::fs::read_to_string(path) else { return };
        let table: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rows = table["codes"].as_array().unwrap();
        assert!(rows.len() > 150);
        for row in rows {
            let (code, subcode) = (row["code"].as_i64().unwrap(), row["subcode"].as_i64());
            let (class, retry) = (row["cls"].as_str().unwrap(), row["retry"].as_str().unwrap());
            let classified = classify(code, subcode);
            let right = match (class, retry) {
                ("auth", _) => classified == Some(ErrorClass::Reconnect),
                ("permission" | "needs_user_action", _) => classified == Some(ErrorClass::NeedPermission),
                ("not_found", _) => classified == Some(ErrorClass::NotFound),
                ("throttle_app", _) => classified == Some(ErrorClass::RateLimited(ThrottleScope::App)),
                ("throttle_qps", _) => {
                    classified == Some(ErrorClass::RateLimitedFor(ThrottleScope::Account, BURST_DELAY))
                }
                (_, "wait_hour") => {
                    classified == Some(ErrorClass::RateLimitedFor(ThrottleScope::Action, HOUR))
                }
                (_, "wait_day") => classified == Some(ErrorClass::RateLimitedFor(ThrottleScope::Action, DAY)),
                ("throttle_buc", _) => classified == Some(ErrorClass::RateLimited(ThrottleScope::UseCase)),
                ("throttle_user" | "throttle_account" | "throttle_page", _) => {
                    classified == Some(ErrorClass::RateLimited(ThrottleScope::Account))
                }
                ("transient", _) => classified == Some(ErrorClass::Transient),
                ("split_request", _) => classified == Some(ErrorClass::RequestTooLarge),
                ("media_retry", _) => classified == Some(ErrorClass::UploadInterrupted),
                ("policy", _) => classified == Some(ErrorClass::Blocked),
                ("deprecated_version", _) => classified == Some(ErrorClass::UnsupportedVersion),
                _ => classified == Some(ErrorClass::InvalidInput),
            };
            assert!(right, "{code}/{subcode:?} is {class}, {retry}, and we would {classified:?}");
        }
    }
}
