//! What stands before the schema: every query, whatever brings it, is looked at before it is
//! checked against the schema and executed. The library bounds depth and complexity; here are the
//! bounds that must hold before it starts, and those of a batch and of an answer.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::futures_util::stream::BoxStream;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{
    BatchRequest, BatchResponse, Data, ErrorExtensionValues, Executor, Request, Response, ServerError,
    ValidationResult,
};
use futures::StreamExt as _;
use futures::future::join_all;
use proto::v1::FaultCode;

use super::document::{self, DocumentBounds};
use super::long::{self, LongAnswers};
use super::persisted::{Hash, Persisted};
use super::schema::{self, MarketSchema};
use super::text::{self, TextBounds};
use super::variables::VariableBounds;
use crate::replies::Replies;
use crate::{Limits, Market};

/// Where a request says that its query is or shall be persisted.
const PERSISTED_QUERY: &str = "persistedQuery";

/// What a way in allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Queries: what a cache may keep.
    Reads,
    /// Queries and mutations.
    Writes,
}

/// The schema behind its guard.
#[derive(Clone)]
pub(super) struct Guard {
    schema: MarketSchema,
    /// The same with a look at a batch's budget, which costs time in every field.
    batched: MarketSchema,
    persisted: Persisted,
    text: TextBounds,
    variables: VariableBounds,
    document: DocumentBounds,
    complexity_max: usize,
    errors: ErrorBounds,
    long: LongAnswers,
}

/// An answer, and whose turn it is until it is written.
pub(super) struct Answered {
    pub(super) response: BatchResponse,
    _turn: long::Turn,
}

/// A query that may be executed.
pub(super) struct Admitted {
    request: Request,
    /// Candles that it asks for, at most.
    pub(super) candles: usize,
    /// Whether it is a subscription.
    pub(super) subscribes: bool,
    /// To be kept once it was answered without an error.
    keep: Option<Keep>,
}

struct Keep {
    hash: Hash,
    document: ExecutableDocument,
    /// Of its text.
    tokens: usize,
    /// Bytes of its text.
    text: usize,
}

impl Guard {
    pub(super) fn new(market: Arc<Market>, limits: &Limits) -> Guard {
        Guard {
            schema: schema::builder(Arc::clone(&market), limits).finish(),
            batched: schema::builder(market, limits).extension(SharesBudget).finish(),
            persisted: Persisted::new(limits.graphql_persisted_max, limits.graphql_persisted_bytes_max),
            text: TextBounds {
                nesting_max: limits.graphql_nesting_max,
                tokens_max: limits.graphql_tokens_max,
                name_bytes_max: limits.graphql_name_bytes_max,
            },
            variables: VariableBounds {
                values_max: limits.graphql_variables_max,
                bytes_max: limits.graphql_variable_bytes_max,
            },
            document: DocumentBounds {
                aliases_max: limits.graphql_aliases_max,
                selections_max: limits.graphql_selections_max,
                introspection_lists_max: limits.graphql_introspection_lists_max,
                typenames_max: limits.graphql_typenames_max,
            },
            complexity_max: limits.graphql_complexity_max,
            errors: ErrorBounds { max: limits.graphql_errors_max },
            long: LongAnswers::default(),
        }
    }

    /// Answers a request, or several that have one budget of complexity together, once there is
    /// room for the answer on the connection.
    pub(super) async fn answer(&self, batch: BatchRequest, allowed: Allowed, replies: &Replies) -> Answered {
        match batch {
            BatchRequest::Single(request) => {
                let admitted = self.admit(request, allowed);
                let turn = self.turn(slice::from_ref(&admitted), replies).await;
                let response = self.execute(&self.schema, admitted).await;
                Answered { response: BatchResponse::Single(response), _turn: turn }
            }
            BatchRequest::Batch(requests) => {
                let budget = Budget(Arc::new(AtomicUsize::new(self.complexity_max)));
                let requests = requests.into_iter().map(|request| request.data(budget.clone()));
                let admitted: Vec<_> = requests.map(|request| self.admit(request, allowed)).collect();
                let turn = self.turn(&admitted, replies).await;
                let answers = admitted.into_iter().map(|admitted| self.execute(&self.batched, admitted));
                Answered { response: BatchResponse::Batch(join_all(answers).await), _turn: turn }
            }
        }
    }

    /// Answers a request of a socket.
    pub(super) async fn answer_admitted(&self, admitted: Admitted, replies: &Replies) -> Response {
        let _turn = self.long.turn(admitted.candles, replies).await;
        self.execute(&self.schema, Ok(admitted)).await
    }

    /// Responses to a subscription.
    pub(super) fn subscribe(
        &self,
        admitted: Admitted,
        session: Option<Arc<Data>>,
    ) -> BoxStream<'static, Response> {
        let errors = self.errors;
        let responses = Executor::execute_stream(&self.schema, admitted.request, session);
        responses.map(move |response| errors.shortened(response)).boxed()
    }

    async fn turn(&self, admitted: &[Result<Admitted, ServerError>], replies: &Replies) -> long::Turn {
        self.long.turn(admitted.iter().flatten().map(|admitted| admitted.candles).sum(), replies).await
    }

    async fn execute(&self, schema: &MarketSchema, admitted: Result<Admitted, ServerError>) -> Response {
        let response = match admitted {
            Ok(Admitted { request, keep, .. }) => {
                let response = schema.execute(request).await;
                self.keep(keep, &response);
                response
            }
            Err(refusal) => Response::from_errors(vec![refusal]),
        };
        self.errors.shortened(response)
    }

    /// Finds or reads the document, within bounds.
    pub(super) fn admit(&self, mut request: Request, allowed: Allowed) -> Result<Admitted, ServerError> {
        self.variables.check(&request.variables).map_err(|detail| error(FaultCode::Limit, detail))?;
        let hash = request.extensions.remove(PERSISTED_QUERY).map(|value| Hash::read(&value)).transpose();
        let hash = hash.map_err(|detail| error(FaultCode::InvalidArgument, detail))?;
        let (document, keep) = match hash {
            Some(hash) if request.query.is_empty() => {
                // The text by which clients know that they must send the query in full.
                let found = self.persisted.find(&hash);
                (found.ok_or_else(|| ServerError::new("PersistedQueryNotFound", None))?, None)
            }
            Some(hash) if !hash.is_of(&request.query) => {
                return Err(ServerError::new("provided sha does not match query", None));
            }
            hash => {
                let (document, tokens) = self.read(&request.query)?;
                let text = request.query.len();
                let keep = hash.map(|hash| Keep { hash, document: document.clone(), tokens, text });
                (document, keep)
            }
        };
        if allowed == Allowed::Reads && !document::reads_only(&document) {
            let detail = "only queries go by GET: POST this".to_owned();
            return Err(error(FaultCode::InvalidArgument, detail));
        }
        let candles = document::candles(&document, &request.variables);
        let subscribes = document::subscribes(&document, request.operation_name.as_deref());
        request.set_parsed_query(document);
        Ok(Admitted { request, candles, subscribes, keep })
    }

    /// Parses a query that is within bounds; says how many tokens it has.
    fn read(&self, query: &str) -> Result<(ExecutableDocument, usize), ServerError> {
        let over = |detail| error(FaultCode::Limit, detail);
        let tokens = text::tokens(query, self.text).map_err(over)?;
        let document = parse_query(query)?;
        document::check(&document, &self.document).map_err(over)?;
        Ok((document, tokens))
    }

    fn keep(&self, keep: Option<Keep>, response: &Response) {
        if let Some(Keep { hash, document, tokens, text }) = keep
            && response.is_ok()
        {
            self.persisted.keep(hash, document, tokens, text);
        }
    }
}

/// Complexity that a batch has left for all of its queries.
#[derive(Clone)]
struct Budget(Arc<AtomicUsize>);

/// Takes each query's complexity from the budget of its batch.
struct SharesBudget;

impl ExtensionFactory for SharesBudget {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(SharesBudget)
    }
}

#[async_trait::async_trait]
impl Extension for SharesBudget {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(context).await?;
        let Some(Budget(left)) = context.data_opt::<Budget>() else { return Ok(result) };
        let taken = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(result.complexity));
        match taken {
            Ok(_) => Ok(result),
            Err(left) => {
                let detail = format!("too complex: a batch has the budget of one query, and {left} is left");
                Err(vec![error(FaultCode::Limit, detail)])
            }
        }
    }
}

/// Bytes of an error's message.
const ERROR_BYTES_MAX: usize = 256;

/// How many errors an answer has, at most.
#[derive(Debug, Clone, Copy)]
struct ErrorBounds {
    max: usize,
}

impl ErrorBounds {
    /// A caller's own words stand in errors, and one query may cause hundreds of them.
    fn shortened(self, mut response: Response) -> Response {
        response.errors.truncate(self.max);
        for error in &mut response.errors {
            error.message = proto::shortened(std::mem::take(&mut error.message), ERROR_BYTES_MAX);
        }
        response
    }
}

/// An error that carries the market's code.
pub(super) fn error(code: FaultCode, detail: String) -> ServerError {
    let mut error = ServerError::new(detail, None);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str_name());
    error.extensions = Some(extensions);
    error
}
