//! What can be asked of this function, and by whom.

use http::Method;
use runtime::route::{Access, Route};
use runtime::session::Role;

/// What can be asked of this function.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// Begin a login at Meta.
    Authorize,
    /// Hand over the token of a system user.
    ConnectSystemUser,
    /// Meta sends the person back.
    Callback,
    /// A person says which ad accounts to sync, on the page after that.
    Choose,
    /// Meta says that a person removed the app.
    Deauthorize,
    /// Meta says that a person wants their data deleted.
    DataDeletion,
    /// Show a person what became of that.
    DeletionStatus,
    /// List connections.
    Connections,
    /// Show one connection.
    Connection,
    /// Forget a connection.
    Disconnect,
    /// List ad accounts.
    AdAccounts,
    /// Say whether an ad account is synced.
    Select,
    /// What launches take where their document is silent.
    Defaults,
    /// Say what they take.
    SetDefaults,
    /// Who did what.
    Audit,
    /// Make a workspace.
    CreateWorkspace,
    /// List the person's workspaces.
    Workspaces,
    /// List members.
    Members,
    /// Give a member another role.
    ChangeMember,
    /// Take a member out.
    RemoveMember,
    /// List invitations to a workspace.
    Invitations,
    /// Invite an address.
    Invite,
    /// Take an invitation back.
    WithdrawInvitation,
    /// List invitations that wait for the person.
    MyInvitations,
    /// Become a member.
    AcceptInvitation,
}

const fn route(method: Method, path: &'static str, access: Access, endpoint: Endpoint) -> Route<Endpoint> {
    Route { method, path, access, endpoint }
}

/// What it takes to connect, when a login begins and when it has come back.
pub(crate) const CONNECT_ROLE: Role = Role::Owner;

const OWNER: Access = Access::Role(Role::Owner);
const EDITOR: Access = Access::Role(Role::Editor);
const VIEWER: Access = Access::Role(Role::Viewer);

const AUTHORIZE: &str = "/v1/workspaces/{workspace}/connections/meta/authorize";
const TOKEN: &str = "/v1/workspaces/{workspace}/connections/meta/token";
pub(crate) const CALLBACK: &str = "/v1/auth/meta/callback";
pub(crate) const CHOOSE: &str = "/v1/auth/meta/choose";
const DEAUTHORIZE: &str = "/v1/auth/meta/deauthorize";
const DATA_DELETION: &str = "/v1/auth/meta/data-deletion";
const DELETION_STATUS: &str = "/v1/auth/meta/data-deletion/{code}";
const CONNECTIONS: &str = "/v1/workspaces/{workspace}/connections";
const CONNECTION: &str = "/v1/workspaces/{workspace}/connections/{connection}";
const AD_ACCOUNTS: &str = "/v1/workspaces/{workspace}/ad-accounts";
const SELECTION: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/selection";
const DEFAULTS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/defaults";
const AUDIT: &str = "/v1/workspaces/{workspace}/audit";
const WORKSPACES: &str = "/v1/workspaces";
const MEMBERS: &str = "/v1/workspaces/{workspace}/members";
const MEMBER: &str = "/v1/workspaces/{workspace}/members/{member}";
const INVITATIONS: &str = "/v1/workspaces/{workspace}/invitations";
const INVITATION: &str = "/v1/workspaces/{workspace}/invitations/{invitation}";
const ACCEPT: &str = "/v1/workspaces/{workspace}/invitations/{invitation}/accept";
const MY_INVITATIONS: &str = "/v1/invitations";

/// Every route of this function.
pub static ROUTES: &[Route<Endpoint>] = &[
    route(Method::POST, AUTHORIZE, Access::Role(CONNECT_ROLE), Endpoint::Authorize),
    route(Method::POST, TOKEN, OWNER, Endpoint::ConnectSystemUser),
    route(Method::GET, CALLBACK, Access::Public, Endpoint::Callback),
    route(Method::POST, CHOOSE, Access::Public, Endpoint::Choose),
    route(Method::POST, DEAUTHORIZE, Access::Public, Endpoint::Deauthorize),
    route(Method::POST, DATA_DELETION, Access::Public, Endpoint::DataDeletion),
    route(Method::GET, DELETION_STATUS, Access::Public, Endpoint::DeletionStatus),
    route(Method::GET, CONNECTIONS, VIEWER, Endpoint::Connections),
    route(Method::GET, CONNECTION, VIEWER, Endpoint::Connection),
    route(Method::DELETE, CONNECTION, OWNER, Endpoint::Disconnect),
    route(Method::GET, AD_ACCOUNTS, VIEWER, Endpoint::AdAccounts),
    route(Method::PUT, SELECTION, EDITOR, Endpoint::Select),
    route(Method::GET, DEFAULTS, VIEWER, Endpoint::Defaults),
    route(Method::PUT, DEFAULTS, EDITOR, Endpoint::SetDefaults),
    route(Method::GET, AUDIT, OWNER, Endpoint::Audit),
    route(Method::POST, WORKSPACES, Access::Person, Endpoint::CreateWorkspace),
    route(Method::GET, WORKSPACES, Access::Person, Endpoint::Workspaces),
    route(Method::GET, MEMBERS, VIEWER, Endpoint::Members),
    route(Method::PATCH, MEMBER, OWNER, Endpoint::ChangeMember),
    // Everybody may take themselves out.
    route(Method::DELETE, MEMBER, VIEWER, Endpoint::RemoveMember),
    route(Method::GET, INVITATIONS, OWNER, Endpoint::Invitations),
    route(Method::POST, INVITATIONS, OWNER, Endpoint::Invite),
    route(Method::DELETE, INVITATION, OWNER, Endpoint::WithdrawInvitation),
    route(Method::GET, MY_INVITATIONS, Access::Person, Endpoint::MyInvitations),
    route(Method::POST, ACCEPT, Access::Person, Endpoint::AcceptInvitation),
];
