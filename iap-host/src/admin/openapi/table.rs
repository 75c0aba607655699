//! Operations and who performs them.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{any, on};

use super::operation::Operation;
use crate::access::Right;
use crate::admin::AdminState;

/// The operations that need one right. There is no way to add a route without a description.
pub(in crate::admin) struct Table {
    right: Option<Right>,
    router: Router<AdminState>,
    operations: Vec<Operation>,
}

impl Table {
    /// Of those that need a right.
    pub(in crate::admin) fn of(right: Right) -> Self {
        Self { right: Some(right), ..Self::open() }
    }

    /// Of those that everybody may use, or that judge by themselves who may.
    pub(in crate::admin) fn open() -> Self {
        Self { right: None, router: Router::new(), operations: Vec::new() }
    }

    /// Adds one.
    pub(in crate::admin) fn add<T: 'static>(
        mut self,
        operation: Operation,
        handler: impl Handler<T, AdminState>,
    ) -> Self {
        self.router = self.router.route(operation.path, on(operation.filter(), handler));
        self.operations.push(Operation { right: self.right, ..operation });
        self
    }

    /// Adds a path whose handler looks at the method itself.
    pub(in crate::admin) fn add_any<T: 'static>(
        mut self,
        operation: Operation,
        handler: impl Handler<T, AdminState>,
    ) -> Self {
        self.router = self.router.route(operation.path, any(handler));
        self.operations.push(Operation { right: self.right, ..operation });
        self
    }

    /// The right that all of them need.
    pub(in crate::admin) fn right(&self) -> Option<Right> {
        self.right
    }

    /// What can be asked for.
    pub(in crate::admin) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter()
    }

    /// Where it leads.
    pub(in crate::admin) fn into_router(self) -> Router<AdminState> {
        self.router
    }
}
