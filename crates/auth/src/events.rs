//! The audit events of this crate's endpoints, by Auth0's type codes.

use model::UserId;
use model::attack_protection::Stage;
use model::backchannel_requests::BackchannelRequest;
use model::clients::Client;
use model::connections::Connection;
use model::logs::{Event, Kind};
use model::tickets::Ticket;
use model::users::User;

use serde_json::json;

use crate::aim::Aim;
use crate::authorize::request::Request;
use crate::pages::{ErrorPage, excerpt};
use crate::visit::Visit;

fn event(visit: &Visit, kind: Kind) -> Event {
    Event::new(&visit.app, &visit.tenant, kind).peer(&visit.peer)
}

fn of_request(visit: &Visit, kind: Kind, request: &Request) -> Event {
    of_aim(visit, kind, request.aim())
}

fn of_aim(visit: &Visit, kind: Kind, aim: Aim<'_>) -> Event {
    issued(visit, kind, aim.client, aim.audience, &aim.scopes.to_string())
}

/// `f`: a request whose client or redirect URI is unproven. `tracking` is what its page shows.
pub fn request_refused(visit: &Visit, page: &ErrorPage, tracking: &str) -> Event {
    let details =
        json!({ "error": page.code, "refused": page.detail.as_deref().map(excerpt), "tracking": tracking });
    let event = event(visit, Kind::FailedLogin)
        .description(page.description.as_deref().unwrap_or_default())
        .details(details);
    match visit.asked.client_id.as_deref() {
        Some(client_id) => event.client_id(&excerpt(client_id).into()),
        None => event,
    }
}

/// An event of a second factor: asked for within a sign-in, or on a page of its own.
pub fn factor(visit: &Visit, kind: Kind, aim: Option<Aim<'_>>, user: &User, factor: &str) -> Event {
    let event = match aim {
        Some(aim) => of_aim(visit, kind, aim),
        None => event(visit, kind),
    };
    event.user(user).details(json!({ "factor": factor }))
}

/// `s`: a user proved who they are.
pub fn login(visit: &Visit, request: &Request, user: &User, connection: &str) -> Event {
    of_request(visit, Kind::Login, request).user(user).connection_name(connection)
}

/// `fp`: a wrong password, or no such user; which of the two is nobody's business.
pub fn wrong_password(visit: &Visit, aim: Aim<'_>, username: &str) -> Event {
    of_aim(visit, Kind::WrongPassword, aim)
        .user_name(&username.chars().take(128).collect::<String>())
        .description("Wrong email or password.")
}

/// `f`: the right password of a blocked user.
pub fn blocked_login(visit: &Visit, aim: Aim<'_>, user: &User) -> Event {
    of_aim(visit, Kind::FailedLogin, aim).user(user).description("user is blocked")
}

/// `f`: a password that was not looked at, since too many before it were wrong.
pub fn refused_login(visit: &Visit, aim: Aim<'_>, username: &str, reason: &str) -> Event {
    of_aim(visit, Kind::FailedLogin, aim)
        .user_name(&username.chars().take(128).collect::<String>())
        .description(reason)
}

/// `limit_wc`: an account, there or not, blocked after too many wrong passwords.
pub fn account_blocked(
    visit: &Visit,
    aim: Aim<'_>,
    user: Option<&User>,
    username: &str,
    connection: &str,
) -> Event {
    let event = of_aim(visit, Kind::AccountBlocked, aim)
        .connection_name(connection)
        .description("Your account has been blocked after multiple consecutive login attempts.");
    match user {
        Some(user) => event.user(user),
        None => event.user_name(&username.chars().take(128).collect::<String>()),
    }
}

/// `limit_mu`: an address throttled at a stage.
pub fn address_blocked(visit: &Visit, aim: Aim<'_>, stage: Stage) -> Event {
    let description = match stage {
        Stage::Login => "Too many failed logins from this address.",
        Stage::Signup => "Too many sign-ups from this address.",
    };
    of_aim(visit, Kind::AddressBlocked, aim)
        .description(description)
        .details(json!({ "stage": stage.name() }))
}

/// `ublkdu`: a user lifted the blocks of their account.
pub fn unblocked(visit: &Visit, user: &UserId) -> Event {
    event(visit, Kind::BlockReleased).user_id(user)
}

/// `pwd_leak`: a right password that is known to have leaked.
pub fn leaked_password(visit: &Visit, aim: Aim<'_>, user: &User, connection: &str) -> Event {
    of_aim(visit, Kind::LeakedPassword, aim)
        .user(user)
        .connection_name(connection)
        .description("The password has leaked.")
}

/// `signup_pwd_leak`: a password for a new account that is known to have leaked.
pub fn leaked_signup_password(visit: &Visit, request: &Request, email: &str) -> Event {
    of_request(visit, Kind::LeakedSignupPassword, request)
        .user_name(email)
        .description("The password has leaked.")
}

/// `scoa`: a proof on a page of the app's own, or on a classic page.
pub fn ticket_issued(visit: &Visit, aim: Aim<'_>, user: &User, connection: &str) -> Event {
    of_aim(visit, Kind::CrossOriginLogin, aim).user(user).connection_name(connection)
}

/// `fcoa`: a refused one.
pub fn ticket_refused(visit: &Visit, aim: Aim<'_>, username: &str, reason: &str) -> Event {
    of_aim(visit, Kind::FailedCrossOriginLogin, aim)
        .user_name(&username.chars().take(128).collect::<String>())
        .description(reason)
}

/// `fcoa`: a page of an origin, or an app, that may not ask for one.
pub fn page_refused(visit: &Visit, client_id: &str, reason: &str) -> Event {
    event(visit, Kind::FailedCrossOriginLogin).client_id(&excerpt(client_id).into()).description(reason)
}

/// `ss`: a new account.
pub fn signup(visit: &Visit, request: &Request, user: &User, connection: &str) -> Event {
    of_request(visit, Kind::Signup, request).user(user).connection_name(connection)
}

/// `fs`: an account that could not be made.
pub fn signup_refused(visit: &Visit, request: &Request, email: &str, reason: &str) -> Event {
    of_request(visit, Kind::FailedSignup, request).user_name(email).description(reason)
}

/// `ss`: a new account that an app's own page made.
pub fn api_signup(visit: &Visit, client: &Client, user: &User, connection: &Connection) -> Event {
    event(visit, Kind::Signup).client(client).user(user).connection(connection)
}

/// `fs`: an account that an app's own page could not make.
pub fn api_signup_refused(
    visit: &Visit,
    client: &Client,
    connection: &Connection,
    email: Option<&str>,
) -> Event {
    event(visit, Kind::FailedSignup)
        .client(client)
        .connection(connection)
        .user_name(email.unwrap_or_default())
        .description("The user already exists.")
}

/// `limit_mu`: an address that signs up too often through an app's own page.
pub fn api_address_blocked(visit: &Visit, client: &Client) -> Event {
    event(visit, Kind::AddressBlocked)
        .client(client)
        .description("Too many sign-ups from this address.")
        .details(json!({ "stage": Stage::Signup.name() }))
}

/// `signup_pwd_leak`: a sign-up through an app's own page with a password that has leaked.
pub fn api_leaked_signup_password(visit: &Visit, client: &Client, email: &str) -> Event {
    event(visit, Kind::LeakedSignupPassword)
        .client(client)
        .user_name(email)
        .description("The password has leaked.")
}

fn of_ticket(visit: &Visit, kind: Kind, ticket: &Ticket, user: &User) -> Event {
    let event = event(visit, kind).user(user);
    match &ticket.client_id {
        Some(client_id) => event.client_id(client_id),
        None => event,
    }
}

/// `scp`: a new password, set through a link.
pub fn password_changed(visit: &Visit, ticket: &Ticket, user: &User, connection: &str) -> Event {
    of_ticket(visit, Kind::PasswordChanged, ticket, user).connection_name(connection)
}

/// `pwd_leak`: a new password, typed behind a link, that is known to have leaked.
pub fn leaked_new_password(visit: &Visit, ticket: &Ticket, user: &User) -> Event {
    of_ticket(visit, Kind::LeakedPassword, ticket, user).description("The new password has leaked.")
}

/// `sv`: an address that was proved through a link.
pub fn email_verified(visit: &Visit, ticket: &Ticket, user: &User) -> Event {
    of_ticket(visit, Kind::EmailVerified, ticket, user)
}

/// `sapi`: a client registered itself.
pub fn client_registered(visit: &Visit, client: &Client) -> Event {
    event(visit, Kind::ApiOperation).client(client).description("Dynamic client registration")
}

/// `sapi`: a client changed what it said of itself.
pub fn client_changed_itself(visit: &Visit, client: &Client) -> Event {
    event(visit, Kind::ApiOperation).client(client).description("Dynamic client registration update")
}

/// `sapi`: a client removed itself.
pub fn client_removed_itself(visit: &Visit, client: &Client) -> Event {
    event(visit, Kind::ApiOperation).client(client).description("Dynamic client registration removal")
}

/// `f`: a user declined to let a client in.
pub fn consent_declined(visit: &Visit, request: &Request, user: &User) -> Event {
    of_request(visit, Kind::FailedLogin, request).user(user).description("User did not authorize the request")
}

/// `ssa`: a sign-in without a page.
pub fn silent_success(visit: &Visit, request: &Request, user: &User) -> Event {
    of_request(visit, Kind::SilentLogin, request).user(user)
}

/// `fsa`: a sign-in without a page that would have needed one.
pub fn silent_failure(visit: &Visit, request: &Request, reason: &str) -> Event {
    of_request(visit, Kind::FailedSilentLogin, request).description(reason)
}

/// `slo`: a session ended by its user.
pub fn logout(visit: &Visit, user: &User) -> Event {
    event(visit, Kind::Logout).user(user)
}

fn issued(visit: &Visit, kind: Kind, client: &Client, audience: &str, scope: &str) -> Event {
    let event = event(visit, kind).client(client).scope(scope);
    if audience.is_empty() { event } else { event.audience(audience) }
}

/// `sepft`: a password, or what took its place, was exchanged.
pub fn password_exchanged(visit: &Visit, aim: Aim<'_>, user: &User, connection: &str) -> Event {
    of_aim(visit, Kind::PasswordExchange, aim).user(user).connection_name(connection)
}

/// `fepft`: a password, or what took its place, was refused.
pub fn password_refused(visit: &Visit, aim: Aim<'_>, username: &str, reason: &str) -> Event {
    of_aim(visit, Kind::FailedPasswordExchange, aim)
        .user_name(&username.chars().take(128).collect::<String>())
        .description(reason)
}

/// `mfar`: a right password bought a token for the second factor alone.
pub fn factor_required(visit: &Visit, aim: Aim<'_>, user: &User, connection: &str) -> Event {
    of_aim(visit, Kind::FactorRequired, aim).user(user).connection_name(connection)
}

/// `sede`: a device came for what its user allowed.
pub fn device_exchanged(visit: &Visit, aim: Aim<'_>, user: &User) -> Event {
    of_aim(visit, Kind::DeviceExchange, aim).user(user)
}

/// `fede`: a device's code that is of no use, for another reason than that its user has not answered yet.
pub fn device_refused(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedDeviceExchange).client(client).description(reason)
}

/// `fdeaz`: a device that may not begin to wait.
pub fn device_not_begun(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedDeviceAuthorization).client(client).description(reason)
}

/// `fdeac`: a user code that is nobody's, or too many of them.
pub fn device_not_activated(visit: &Visit, reason: &str) -> Event {
    event(visit, Kind::FailedDeviceActivation).description(reason)
}

/// `fdecc`: somebody said that a device is not theirs.
pub fn device_declined(visit: &Visit, request: &Request) -> Event {
    of_request(visit, Kind::DeviceActivationDeclined, request)
        .description("User cancelled the confirmation prompt.")
}

/// `cs` or `cls`: a code or a link to sign in with was sent.
pub fn code_sent(
    visit: &Visit,
    client: &Client,
    connection: &Connection,
    address: &str,
    user: Option<&User>,
    link: bool,
) -> Event {
    let kind = if link { Kind::LinkSent } else { Kind::CodeSent };
    let event = event(visit, kind).client(client).connection(connection).user_name(address);
    match user {
        Some(user) => event.user(user),
        None => event,
    }
}

/// `fn`: a gateway that did not send a code.
pub fn code_not_sent(
    visit: &Visit,
    client: &Client,
    connection: &Connection,
    address: &str,
    reason: &str,
) -> Event {
    event(visit, Kind::FailedNotification)
        .client(client)
        .connection(connection)
        .user_name(address)
        .description(reason)
}

/// `ss`: a code made a user of somebody whom nobody knew.
pub fn passwordless_signup(visit: &Visit, aim: Aim<'_>, user: &User, connection: &str) -> Event {
    of_aim(visit, Kind::Signup, aim).user(user).connection_name(connection)
}

/// `ciba_start_succeeded`: an app asked a person to let it in.
pub fn backchannel_begun(visit: &Visit, aim: Aim<'_>, user: &User) -> Event {
    of_aim(visit, Kind::BackchannelStarted, aim).user(user)
}

/// `ciba_start_failed`: an app that may not ask.
pub fn backchannel_not_begun(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedBackchannelStart).client(client).description(reason)
}

/// `gd_auth_succeed` or `gd_auth_rejected`: the person's answer.
pub fn backchannel_answered(
    visit: &Visit,
    request: &BackchannelRequest,
    user: &User,
    accepted: bool,
) -> Event {
    let kind = if accepted { Kind::FactorSucceeded } else { Kind::FactorRejected };
    event(visit, kind).client_id(&request.client_id).user(user).details(json!({ "factor": "ciba" }))
}

/// `ciba_exchange_succeeded`: an app that was let in came for its tokens.
pub fn backchannel_exchanged(visit: &Visit, aim: Aim<'_>, user: &User) -> Event {
    of_aim(visit, Kind::BackchannelExchange, aim).user(user)
}

/// `ciba_exchange_failed`: an app that gets none, for another reason than that its user has not answered yet.
pub fn backchannel_refused(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedBackchannelExchange).client(client).description(reason)
}

/// `secte`: a user's token was exchanged for one for another API.
pub fn token_exchanged(visit: &Visit, aim: Aim<'_>, user: &User) -> Event {
    of_aim(visit, Kind::TokenExchange, aim).user(user)
}

/// `fecte`: a token was not exchanged.
pub fn token_not_exchanged(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedTokenExchange).client(client).description(reason)
}

/// `seacft`: a code was exchanged.
pub fn code_exchanged(visit: &Visit, client: &Client, user: &User, audience: &str, scope: &str) -> Event {
    issued(visit, Kind::CodeExchange, client, audience, scope).user(user)
}

/// `feacft`: a code was refused.
pub fn code_refused(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedCodeExchange).client(client).description(reason)
}

/// `sertft`: a refresh token was exchanged.
pub fn refreshed(visit: &Visit, client: &Client, user: &User, audience: &str, scope: &str) -> Event {
    issued(visit, Kind::RefreshExchange, client, audience, scope).user(user)
}

/// `fertft`: a refresh token was refused.
pub fn refresh_refused(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedRefreshExchange).client(client).description(reason)
}

/// `ferrt`: an old refresh token came back, and its family ended.
pub fn refresh_reused(visit: &Visit, client: &Client, user: &UserId) -> Event {
    let description = "A rotated refresh token was used again: its family is revoked";
    event(visit, Kind::RefreshTokenReuse).client(client).user_id(user).description(description)
}

/// `srrt`: a refresh token was revoked.
pub fn refresh_revoked(visit: &Visit, client: &Client, user: &UserId) -> Event {
    event(visit, Kind::RefreshTokenRevoked).client(client).user_id(user)
}

/// `seccft`: a client got a token of its own.
pub fn client_credentials(visit: &Visit, client: &Client, audience: &str, scope: &str) -> Event {
    issued(visit, Kind::ClientCredentials, client, audience, scope)
}

/// `feccft`: a client was refused a token.
pub fn client_credentials_refused(visit: &Visit, client: &Client, reason: &str) -> Event {
    event(visit, Kind::FailedClientCredentials).client(client).description(reason)
}
