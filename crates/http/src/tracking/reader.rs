//! Who may read where parcels are.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;

use crate::auth::{self, TRACKING_READ};
use crate::state::Shared;

/// A caller who may read where parcels are: with a token where the operator asks for one, and everybody else.
pub(crate) struct Reader;

impl FromRequestParts<Shared> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Response> {
        let auth = state.app.settings.wire.tracking_auth;
        match auth::admit(state, &parts.headers, auth, TRACKING_READ).await {
            Ok(_) => Ok(Self),
            Err(denied) => Err(denied.into_response()),
        }
    }
}
