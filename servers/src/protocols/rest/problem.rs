//! Errors as problem details (RFC 9457).

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proto::Fault;
use proto::v1::FaultCode;
use serde::Serialize;
use utoipa::ToSchema;

/// An error on its way to the caller.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Option<FaultCode>,
    detail: String,
}

/// What a problem looks like on the wire: `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemDocument<'a> {
    /// `about:blank`: the status says all that a type would.
    #[serde(rename = "type")]
    kind: &'a str,
    /// The status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What was wrong and what would be right.
    detail: &'a str,
    /// The market's own code, where the market refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "FAULT_CODE_NOT_FOUND")]
    code: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, code: None, detail: detail.into() }
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What was wrong.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        let status = match fault.code {
            FaultCode::Unspecified => StatusCode::INTERNAL_SERVER_ERROR,
            FaultCode::NotFound => StatusCode::NOT_FOUND,
            FaultCode::InvalidArgument => StatusCode::BAD_REQUEST,
            FaultCode::Conflict => StatusCode::UNPROCESSABLE_ENTITY,
            FaultCode::Limit => StatusCode::PAYLOAD_TOO_LARGE,
            FaultCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            FaultCode::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        };
        Problem { status, code: Some(fault.code), detail: fault.detail }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code.map(|code| code.as_str_name()),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (self.status, headers, body).into_response()
    }
}
