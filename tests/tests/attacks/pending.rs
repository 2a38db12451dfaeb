//! The public form: subscriptions that nobody confirms, mail bombing, an unsubscription undone.
