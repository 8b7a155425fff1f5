//! What stands before the schema: every query, whatever brings it, is looked at before it is
//! checked against the schema and executed. The library bounds depth and complexity; here are the
//! bounds that must hold before it starts, and those of a batch and of a WebSocket.

use std::any::TypeId;
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
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use proto::v1::FaultCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::document::{self, DocumentBounds};
use super::persisted::{Hash, Persisted};
use super::schema::{self, MarketSchema};
use super::text::{self, TextBounds};
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
    document: DocumentBounds,
    complexity_max: usize,
}

/// A query that may be executed.
struct Admitted {
    request: Request,
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
            },
            document: DocumentBounds {
                aliases_max: limits.graphql_aliases_max,
                selections_max: limits.graphql_selections_max,
                introspection_lists_max: limits.graphql_introspection_lists_max,
            },
            complexity_max: limits.graphql_complexity_max,
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request, allowed: Allowed) -> Response {
        self.answer_by(&self.schema, request, allowed).await
    }

    /// Answers a request, or several that have one budget of complexity together.
    pub(super) async fn answer_batch(&self, batch: BatchRequest) -> BatchResponse {
        match batch {
            BatchRequest::Single(request) => {
                BatchResponse::Single(self.answer(request, Allowed::Writes).await)
            }
            BatchRequest::Batch(requests) => {
                let budget = Budget(Arc::new(AtomicUsize::new(self.complexity_max)));
                let answers = requests.into_iter().map(|request| {
                    self.answer_by(&self.batched, request.data(budget.clone()), Allowed::Writes)
                });
                BatchResponse::Batch(join_all(answers).await)
            }
        }
    }

    async fn answer_by(&self, schema: &MarketSchema, request: Request, allowed: Allowed) -> Response {
        match self.admit(request, allowed) {
            Ok(Admitted { request, keep }) => {
                let response = schema.execute(request).await;
                self.keep(keep, &response);
                response
            }
            Err(refusal) => Response::from_errors(vec![refusal]),
        }
    }

    /// Finds or reads the document, within bounds.
    fn admit(&self, mut request: Request, allowed: Allowed) -> Result<Admitted, ServerError> {
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
        request.set_parsed_query(document);
        Ok(Admitted { request, keep })
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

/// An error that carries the market's code.
fn error(code: FaultCode, detail: String) -> ServerError {
    let mut error = ServerError::new(detail, None);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str_name());
    error.extensions = Some(extensions);
    error
}

/// Operations that one WebSocket may have at once.
#[derive(Debug)]
pub(super) struct SocketOperations {
    places: Arc<Semaphore>,
    max: usize,
    /// Queries and mutations are answered one after the other: an answer is held until the socket
    /// takes it.
    calls: Arc<Semaphore>,
}

impl SocketOperations {
    pub(super) fn new(max: usize) -> SocketOperations {
        let (places, calls) = (Arc::new(Semaphore::new(max)), Arc::new(Semaphore::new(1)));
        SocketOperations { places, max, calls }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, ServerError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let detail = format!("{} operations at once are the limit of a connection", self.max);
            error(FaultCode::Limit, detail)
        })
    }
}

/// As a WebSocket is served.
impl Executor for Guard {
    async fn execute(&self, request: Request) -> Response {
        self.answer(request, Allowed::Writes).await
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let refused =
            |refusal| stream::once(std::future::ready(Response::from_errors(vec![refusal]))).boxed();
        let of_the_socket = session.as_ref().and_then(|data| data.get(&TypeId::of::<SocketOperations>()));
        let Some(operations) = of_the_socket.and_then(|any| any.downcast_ref::<SocketOperations>()) else {
            return refused(error(FaultCode::Unspecified, "the socket has no bounds".to_owned()));
        };
        let admitted = operations.place().and_then(|place| {
            let name = request.operation_name.clone();
            let admitted = self.admit(request, Allowed::Writes)?;
            Ok((place, name, admitted))
        });
        let (place, name, admitted) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return refused(refusal),
        };
        let Admitted { mut request, keep } = admitted;
        let subscribes =
            request.parsed_query().is_ok_and(|query| document::subscribes(query, name.as_deref()));
        if subscribes {
            let responses = Executor::execute_stream(&self.schema, request, session);
            let held_until_the_stream_ends = move |response| {
                let _ = &place;
                response
            };
            return responses.map(held_until_the_stream_ends).boxed();
        }
        let call = self.clone().call(request, keep, Arc::clone(&operations.calls));
        let responses = stream::once(call).chain(stream::once(std::future::ready(None)));
        responses
            .scan(None, move |turn, answered| {
                let _ = &place;
                // The answer before was taken by now.
                let (response, next) = answered.unzip();
                *turn = next;
                std::future::ready(response)
            })
            .boxed()
    }
}

impl Guard {
    /// Answers in a task of its own: a socket looks after none of its operations while it waits to
    /// write, and others may wait for this one's turn.
    async fn call(
        self,
        request: Request,
        keep: Option<Keep>,
        calls: Arc<Semaphore>,
    ) -> Option<(Response, OwnedSemaphorePermit)> {
        let turn = calls.acquire_owned().await.ok()?;
        let schema = self.schema.clone();
        let answered = tokio::spawn(async move { schema.execute(request).await });
        let response = AbortOnDropHandle::new(answered).await.ok()?;
        self.keep(keep, &response);
        Some((response, turn))
    }
}
