//! Token states that a test can set.

use axum::http::StatusCode;

use crate::error::GraphError;

/// The state of a token, set by a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Valid: a state set earlier no longer applies.
    Valid,
    /// 190/463: the token has expired.
    Expired,
    /// 190/458: the user has removed the app.
    Revoked,
    /// 190/460: the user has changed the password.
    PasswordChanged,
    /// 190/459: the user must log in at facebook.com first.
    Checkpointed,
    /// 190/464: the user must confirm the account at facebook.com first.
    Unconfirmed,
    /// 190/467: the user has logged out.
    LoggedOut,
    /// Valid, but calls to ad accounts fail with code 10: the app has no permission.
    NotAllowed,
    /// Valid, but calls to ad accounts fail with code 200: the user has not granted the permission.
    NotGranted,
    /// Valid, but calls to ad accounts fail with code 294: the token lacks `ads_management`.
    WithoutManagement,
    /// Valid, but ad accounts and the objects in them return 100/33, as if they did not exist.
    WithoutAccounts,
}

impl TokenState {
    /// Returns the subcode of an invalid token.
    pub(super) fn subcode(self) -> Option<u32> {
        match self {
            Self::Expired => Some(463),
            Self::Revoked => Some(458),
            Self::PasswordChanged => Some(460),
            Self::Checkpointed => Some(459),
            Self::Unconfirmed => Some(464),
            Self::LoggedOut => Some(467),
            _ => None,
        }
    }

    /// Returns the error for calls to ad accounts with a valid token that may not make them.
    pub(super) fn denial(self) -> Option<GraphError> {
        let (code, message) = match self {
            Self::NotAllowed => (10, "Application does not have permission for this action"),
            Self::NotGranted => (200, "Ad account owner has NOT grant ads_management or ads_read permission"),
            Self::WithoutManagement => (
                294,
                "Managing advertisements requires an access token with the extended permission for ads_management",
            ),
            _ => return None,
        };
        Some(GraphError::new(code, format!("(#{code}) {message}")).status(StatusCode::FORBIDDEN))
    }
}
