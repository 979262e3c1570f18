//! A child as the place where tasks live: whatever is asked about a task goes to the process that it was begun in.

use super::child::Child;
use crate::errand::{Errand, Home, members};
use crate::exchange::{Exchange, Part};
use crate::homes::Becoming;
use crate::inventory::Requester;
use crate::pending::{Debtor, Pending};
use crate::{Augment, BackendError, Call, Message, SessionKey};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use weir_protocol::{Era, Method};

impl Child {
    /// Its number among the places where tasks live.
    fn number(self: &Arc<Self>) -> u64 {
        self.recipe().homes.enter(self, &self.home)
    }

    /// Sends a client's call, which may become a task.
    pub(crate) async fn call(
        self: &Arc<Self>,
        call: Box<Call>,
        place: OwnedSemaphorePermit,
    ) -> Result<Exchange, BackendError> {
        let begun = self.begin(&call).await?;
        match (call.augment, self.era()) {
            (Augment::Gateway(_), Era::Legacy) => {
                let begun = Exchange::pending(begun);
                let errand = Errand::new(self.clone(), call, begun, &self.recipe().timeouts);
                Ok(Exchange::errand(Box::new(errand), place))
            }
            (Augment::Client, Era::Legacy) => {
                // A process of its own ends with the client's session anyway.
                let owner =
                    (self.key == SessionKey::Shared).then(|| (call.session, self.recipe().owners.clone()));
                let becoming = Becoming { number: self.number(), owner };
                Ok(Exchange::pending(begun).placed(place).at(self.clone(), Part::Becoming(becoming)))
            }
            _ => Ok(Exchange::pending(begun).placed(place)),
        }
    }
}

impl Home for Child {
    fn ask(
        self: Arc<Self>,
        method: Method,
        members: String,
    ) -> BoxFuture<'static, Result<Message, BackendError>> {
        async move { self.request(method, members).await }.boxed()
    }

    fn fetch(self: Arc<Self>, call: Box<Call>) -> BoxFuture<'static, Result<Exchange, BackendError>> {
        async move { Ok(Exchange::pending(self.begin(&call).await?)) }.boxed()
    }

    fn end_task(self: Arc<Self>, id: Arc<str>) {
        if self.features().is_some_and(|features| features.legacy_tasks.cancel) {
            let handle = self.recipe().handle.clone();
            handle.spawn(async move {
                if let Ok(answer) = self.request(Method::TasksCancel, members(&id)).await {
                    Self::pending(&self).hear_about(&id, &answer, false);
                }
            });
        }
    }

    fn say(self: Arc<Self>, call: u64, body: Bytes) {
        Debtor::reply(self, call, body);
    }

    fn has_ended(&self) -> bool {
        Self::has_ended(self)
    }

    fn pending(&self) -> &Pending {
        Child::pending(self)
    }
}
