//! The methods of MCP that weir knows.

use crate::Era;

macro_rules! methods {
    ($($name:ident = $wire:literal, $doc:literal;)*) => {
        /// A method of MCP, or one that weir does not know.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = $doc] $name,)*
            /// Not a method that weir knows.
            Unknown,
        }

        impl Method {
            /// The method of this name.
            pub fn parse(text: &str) -> Self {
                match text {
                    $($wire => Self::$name,)*
                    _ => Self::Unknown,
                }
            }

            /// The name that stands on the wire; empty for an unknown one.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)*
                    Self::Unknown => "",
                }
            }
        }
    };
}

methods! {
    Initialize = "initialize", "Opens a legacy session.";
    Initialized = "notifications/initialized", "The legacy client is ready.";
    Ping = "ping", "Legacy: is the other side there?";
    Discover = "server/discover", "Modern: what does the server offer?";
    Listen = "subscriptions/listen", "Modern: opens a stream of change notifications.";
    Acknowledged = "notifications/subscriptions/acknowledged", "Modern: first message of such a stream.";
    ToolsList = "tools/list", "Lists tools.";
    ToolsCall = "tools/call", "Calls a tool.";
    PromptsList = "prompts/list", "Lists prompts.";
    PromptsGet = "prompts/get", "Gets a prompt.";
    ResourcesList = "resources/list", "Lists resources.";
    TemplatesList = "resources/templates/list", "Lists resource templates.";
    ResourcesRead = "resources/read", "Reads a resource.";
    ResourcesSubscribe = "resources/subscribe", "Legacy: asks for updates of a resource.";
    ResourcesUnsubscribe = "resources/unsubscribe", "Legacy: ends that.";
    Complete = "completion/complete", "Completes an argument.";
    SetLevel = "logging/setLevel", "Legacy: sets the session's log level.";
    Cancelled = "notifications/cancelled", "A request is no longer wanted.";
    Progress = "notifications/progress", "How far a request has come.";
    Message = "notifications/message", "A log message.";
    ToolsChanged = "notifications/tools/list_changed", "The list of tools changed.";
    PromptsChanged = "notifications/prompts/list_changed", "The list of prompts changed.";
    ResourcesChanged = "notifications/resources/list_changed", "The list of resources changed.";
    ResourceUpdated = "notifications/resources/updated", "A resource changed.";
    Elicit = "elicitation/create", "Asks the client's user.";
    CreateMessage = "sampling/createMessage", "Asks the client's model.";
    ListRoots = "roots/list", "Asks for the client's folders.";
    Elicited = "notifications/elicitation/complete", "Legacy: what a URL asked of the user is done.";
    TasksGet = "tasks/get", "How far is a task?";
    TasksUpdate = "tasks/update", "Modern: gives a task the input that it waits for.";
    TasksCancel = "tasks/cancel", "A task is no longer wanted.";
    TasksList = "tasks/list", "Legacy: lists tasks.";
    TasksResult = "tasks/result", "Legacy: waits for a task's result.";
    TaskStatus = "notifications/tasks/status", "Legacy: a task has come further.";
    TaskChanged = "notifications/tasks", "Modern: a task has come further.";
    RootsChanged = "notifications/roots/list_changed", "Legacy: the client's roots changed.";
}

impl Method {
    /// Whether a client of this era may send this request. Source: the `ClientRequest` unions of the two schemas, and the
    /// extension for tasks.
    pub const fn is_request_of(self, era: Era) -> bool {
        match self {
            Self::ToolsList
            | Self::ToolsCall
            | Self::PromptsList
            | Self::PromptsGet
            | Self::ResourcesList
            | Self::TemplatesList
            | Self::ResourcesRead
            | Self::Complete => true,
            Self::Discover | Self::Listen | Self::TasksUpdate => matches!(era, Era::Modern),
            Self::TasksGet | Self::TasksCancel => true,
            Self::Initialize
            | Self::Ping
            | Self::ResourcesSubscribe
            | Self::ResourcesUnsubscribe
            | Self::TasksList
            | Self::TasksResult
            | Self::SetLevel => matches!(era, Era::Legacy),
            _ => false,
        }
    }

    /// Whether it is about a task that `params.taskId` names.
    pub const fn is_about_a_task(self) -> bool {
        matches!(self, Self::TasksGet | Self::TasksUpdate | Self::TasksCancel | Self::TasksResult)
    }
}
