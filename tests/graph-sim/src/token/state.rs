//! Ways in which a test breaks a token.

use axum::http::StatusCode;

use crate::error::GraphError;

/// What becomes of a token that a test breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Mended: whatever was ordered for it no longer holds.
    Valid,
    /// 190/463: its time is over.
    Expired,
    /// 190/458: the person has removed the app.
    Revoked,
    /// 190/460: the person has changed the password.
    PasswordChanged,
    /// 190/459: the person must log in at facebook.com first.
    Checkpointed,
    /// 190/464: the person must confirm the account at facebook.com first.
    Unconfirmed,
    /// 190/467: the person has logged out.
    LoggedOut,
    /// Alive, but calls to ad accounts are answered code 10: the app may not do this.
    NotAllowed,
    /// Alive, but calls to ad accounts are answered code 200: its person has not granted the permission.
    NotGranted,
    /// Alive, but calls to ad accounts are answered code 294: it lacks `ads_management`.
    WithoutManagement,
    /// Alive, but ad accounts and what is in them are answered 100/33, as if they did not exist.
    WithoutAccounts,
}

impl TokenState {
    /// The subcode of a dead token.
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

    /// What a live token is told that may not call ad accounts.
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
