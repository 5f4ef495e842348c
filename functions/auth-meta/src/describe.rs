//! What the routes take and give.

use domain::Error;
use domain::account::LaunchDefaults;
use domain::id::AdAccountId;
use http::StatusCode;
use runtime::describe::{Header, Operation};
use runtime::response::List;
use schemars::JsonSchema;
use serde_json::json;

use crate::Endpoint;
use crate::audit::{AuditEntryView, AuditQuery};
use crate::deauthorization::Confirmation;
use crate::login::{Authorization, LoginRequest, SystemUserToken};
use crate::members::{InvitationView, MemberView, NewInvitation, NewRole, NewWorkspace, WorkspaceView};
use crate::page::{ConnectResponse, SelectionResponse};
use crate::selection::Selection;
use crate::views::{AdAccountView, ConnectionView};

/// What Meta's dialog sends back. It may add to it, so nothing else is refused.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "its fields are read one by one")]
struct CallbackQuery {
    /// The state of the login.
    state: String,
    /// What is exchanged for a token.
    code: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// The form of our own page.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read by hand")]
struct AccountSelectionForm {
    /// The secret of the page.
    choice: String,
    /// Those that are selected; it is there once for each.
    #[schemars(default, extend("uniqueItems" = true))]
    ad_account: Vec<AdAccountId>,
}

/// Meta's form.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it is read by hand")]
struct SignedRequestForm {
    /// A signature and what it signs, both in base64url.
    signed_request: String,
}

/// What a route takes and gives.
pub fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::Authorize => Operation::new("authorize", "Begins a login at Meta")
            .about(
                "Send the person's browser, which must keep the cookie of this answer, to `authorize_url`.",
            )
            .body::<LoginRequest>()
            .or_no_body()
            .gives::<Authorization>(StatusCode::OK, "Where to send the person.")
            .with_header(Header::required("Set-Cookie", "Binds the login to the browser.", text())),
        Endpoint::Callback => Operation::new("finish_login", "Takes the person in whom Meta sends back")
            .about("A page for a browser, on which the person chooses ad accounts, or JSON for those who accept it.")
            .query::<CallbackQuery>()
            .gives::<ConnectResponse>(StatusCode::OK, "What was connected.")
            .or_as::<String>("text/html")
            .may(Error::Conflict, "The login is unknown, over, or was used already.")
            .may(Error::Forbidden, "The person may not connect any more.")
            .changes_meta()
            .fails_as_page(),
        Endpoint::Choose => Operation::new("choose_ad_accounts", "Says which ad accounts are synced, after a login")
            .about(
                "The form of the page that ends a login, with the cookie that came with it. What differs from what that \
                 page showed is changed, once.",
            )
            .body_of::<AccountSelectionForm>("application/x-www-form-urlencoded")
            .gives::<SelectionResponse>(StatusCode::OK, "What is synced now.")
            .or_as::<String>("text/html")
            .may(Error::Conflict, "The page is over, of another browser, or was used for another choice.")
            .may(Error::Reconnect, "A person must connect to Meta again.")
            .may(Error::Forbidden, "The person may not connect any more.")
            .fails_as_page(),
        Endpoint::ConnectSystemUser => Operation::new("connect_system_user", "Keeps the token of a system user")
            .about(
                "The road that needs no review of the app. The token is sealed, and shown to nobody again.",
            )
            .body::<SystemUserToken>()
            .gives::<ConnectionView>(StatusCode::OK, "The connection.")
            .calls_meta(),
        Endpoint::Deauthorize => Operation::new("deauthorize", "Hears of a person who removed the app")
            .body_of::<SignedRequestForm>("application/x-www-form-urlencoded")
            .gives::<serde_json::Map<String, serde_json::Value>>(
                StatusCode::OK,
                "Their tokens are being forgotten.",
            )
            .may(Error::Forbidden, "The request is not signed by Meta, or not of its time."),
        Endpoint::DataDeletion => {
            Operation::new("delete_data", "Hears of a person who wants their data deleted")
                .body_of::<SignedRequestForm>("application/x-www-form-urlencoded")
                .gives::<Confirmation>(StatusCode::OK, "Where they can ask what became of it.")
                .may(Error::Forbidden, "The request is not signed by Meta, or not of its time.")
        }
        Endpoint::DeletionStatus => Operation::new("show_deletion", "Shows what became of a person's request")
            .gives_nothing(StatusCode::OK, "It is done, or under way.")
            .or_as::<String>("text/html")
            .may(Error::NotFound, "Nothing is known under this code.")
            .fails_as_page(),
        Endpoint::Connections => Operation::new("list_connections", "Lists connections to Meta")
            .gives::<List<ConnectionView>>(StatusCode::OK, "The connections."),
        Endpoint::Connection => Operation::new("show_connection", "Shows a connection to Meta")
            .gives::<ConnectionView>(StatusCode::OK, "The connection."),
        Endpoint::Disconnect => Operation::new("disconnect", "Forgets a connection and its token")
            .about("The ad accounts that it reached are synced no more. What was stored of them stays.")
            .gives_nothing(StatusCode::NO_CONTENT, "It is forgotten."),
        Endpoint::AdAccounts => Operation::new("list_ad_accounts", "Lists ad accounts")
            .gives::<List<AdAccountView>>(StatusCode::OK, "The ad accounts of every connection."),
        Endpoint::Defaults => Operation::new("show_defaults", "Shows what launches use where they are silent")
            .gives::<LaunchDefaults>(StatusCode::OK, "The defaults."),
        Endpoint::SetDefaults => Operation::new("set_defaults", "Says what launches use where they are silent")
            .about("All of them are replaced.")
            .body::<LaunchDefaults>()
            .gives::<LaunchDefaults>(StatusCode::OK, "The defaults."),
        Endpoint::Select => Operation::new("select_ad_account", "Says whether an ad account is synced")
            .body::<Selection>()
            .gives::<AdAccountView>(StatusCode::OK, "The ad account."),
        Endpoint::Audit => Operation::new("list_audit", "Lists who did what")
            .about("Every entry names the hash of the one before; an act that is only `intended` may have happened.")
            .query::<AuditQuery>()
            .gives::<List<AuditEntryView>>(StatusCode::OK, "The entries, newest first."),
        Endpoint::CreateWorkspace => Operation::new("create_workspace", "Makes a workspace")
            .about("The person becomes its owner.")
            .body::<NewWorkspace>()
            .gives::<WorkspaceView>(StatusCode::CREATED, "The workspace.")
            .may(Error::Conflict, "The person is in too many workspaces, or the Idempotency-Key made another one."),
        Endpoint::Workspaces => Operation::new("list_workspaces", "Lists the person's workspaces")
            .gives::<List<WorkspaceView>>(StatusCode::OK, "The workspaces, each with the person's role."),
        Endpoint::Members => Operation::new("list_members", "Lists members")
            .gives::<List<MemberView>>(StatusCode::OK, "The members."),
        Endpoint::ChangeMember => Operation::new("change_member", "Gives a member another role")
            .body::<NewRole>()
            .gives::<MemberView>(StatusCode::OK, "The member.")
            .may(Error::Conflict, "It would leave nobody as owner, or somebody else changed it first."),
        Endpoint::RemoveMember => Operation::new("remove_member", "Takes a member out")
            .about("An owner takes out anybody, every other member only themselves.")
            .gives_nothing(StatusCode::NO_CONTENT, "It is no member any more.")
            .may(Error::Forbidden, "Only an owner takes others out.")
            .may(Error::Conflict, "It would leave nobody as owner, or somebody else changed it first."),
        Endpoint::Invitations => Operation::new("list_invitations", "Lists invitations to the workspace")
            .gives::<List<InvitationView>>(StatusCode::OK, "Those that wait for an answer."),
        Endpoint::Invite => Operation::new("invite", "Invites an address")
            .about(
                "Nothing is sent: tell the person yourself. Whoever comes with a session in which the issuer vouches for \
                 the address may accept. Inviting it again replaces the invitation.",
            )
            .body::<NewInvitation>()
            .gives::<InvitationView>(StatusCode::CREATED, "The invitation."),
        Endpoint::WithdrawInvitation => Operation::new("withdraw_invitation", "Takes an invitation back")
            .gives_nothing(StatusCode::NO_CONTENT, "It is gone."),
        Endpoint::MyInvitations => Operation::new("list_my_invitations", "Lists invitations that wait for the person")
            .about("By the address that the issuer vouches for (`email` with `email_verified`).")
            .gives::<List<InvitationView>>(StatusCode::OK, "The invitations."),
        Endpoint::AcceptInvitation => Operation::new("accept_invitation", "Makes the person a member")
            .about("Accepting again is answered like the first time.")
            .gives::<MemberView>(StatusCode::OK, "The member that the person is now.")
            .may(Error::Conflict, "The invitation went away at the same time."),
    }
}

fn text() -> serde_json::Value {
    json!({"type": "string"})
}
