//! What a GraphQL server must bound beyond the library's depth and complexity: aliases, mutations
//! by GET, operations at once on one WebSocket.

use std::any::TypeId;
use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery};
use async_graphql::futures_util::stream::BoxStream;
use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::{
    Data, ErrorExtensionValues, Executor, Request, Response, ServerError, ServerResult, Variables,
};
use futures::stream::{self, StreamExt as _};
use proto::v1::FaultCode;
use tokio::sync::Semaphore;

/// Marks a request that came by GET.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadOnly;

/// Looks at every document before it is executed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) aliases_max: usize,
}

impl ExtensionFactory for Shape {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_trait::async_trait]
impl Extension for Shape {
    async fn parse_query(
        &self,
        context: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(context, query, variables).await?;
        let aliases: usize = document
            .operations
            .iter()
            .map(|(_, operation)| &operation.node.selection_set.node)
            .chain(document.fragments.values().map(|fragment| &fragment.node.selection_set.node))
            .map(aliases)
            .sum();
        if aliases > self.aliases_max {
            let detail = format!("{aliases} aliases are over the limit of {}", self.aliases_max);
            return Err(error(FaultCode::Limit, detail));
        }
        let reads =
            document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query);
        if context.data_opt::<ReadOnly>().is_some() && !reads {
            return Err(error(FaultCode::InvalidArgument, "only queries go by GET: POST this".to_owned()));
        }
        Ok(document)
    }
}

/// Aliases in a selection; the parser has bounded how deep it is.
fn aliases(selection: &SelectionSet) -> usize {
    let of = |item: &Selection| match item {
        Selection::Field(field) => {
            usize::from(field.node.alias.is_some()) + aliases(&field.node.selection_set.node)
        }
        Selection::InlineFragment(fragment) => aliases(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => 0,
    };
    selection.items.iter().map(|item| of(&item.node)).sum()
}

/// An error that carries the market's code.
pub(super) fn error(code: FaultCode, detail: String) -> ServerError {
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
}

impl SocketOperations {
    pub(super) fn new(max: usize) -> SocketOperations {
        SocketOperations { places: Arc::new(Semaphore::new(max)), max }
    }
}

/// The schema, with a bound on a WebSocket's operations.
#[derive(Clone)]
pub(super) struct Bounded<E>(pub(super) E);

impl<E: Executor> Executor for Bounded<E> {
    async fn execute(&self, request: Request) -> Response {
        self.0.execute(request).await
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let of_the_socket = session.as_ref().and_then(|data| data.get(&TypeId::of::<SocketOperations>()));
        let operations = of_the_socket.and_then(|any| any.downcast_ref::<SocketOperations>());
        let Some(operations) = operations else { return self.0.execute_stream(request, None) };
        let Ok(place) = Arc::clone(&operations.places).try_acquire_owned() else {
            let detail = format!("{} operations at once are the limit of a connection", operations.max);
            let refusal = Response::from_errors(vec![error(FaultCode::Limit, detail)]);
            return stream::once(std::future::ready(refusal)).boxed();
        };
        let responses = Executor::execute_stream(&self.0, request, session);
        responses
            .map(move |response| {
                let _held_until_the_stream_ends = &place;
                response
            })
            .boxed()
    }
}
