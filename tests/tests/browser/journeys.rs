//! What readers do.

mod account;
mod feeds;
mod hooking;
mod keyboard;
mod leafing;
mod odd;
mod reacting;
mod scanning;
mod searching;
mod subscribing;

use crate::{Check, Journey};

/// Walked with and without scripts, on a phone and on a desk.
pub const IN_EVERY_VARIANT: &[(&str, Journey)] = &[
    (
        "a search leads to a paper and on to similar ones",
        searching::search_paper_similar,
    ),
    (
        "results go on over pages and in another order",
        searching::pages_and_orders,
    ),
    (
        "today, the week, the month and the days before",
        leafing::windows_and_days,
    ),
    (
        "categories, authors and the pages about the paper itself",
        leafing::other_pages,
    ),
    ("from a subscription to its end", subscribing::from_first_to_last),
    ("a webhook is set and looked after", hooking::from_setting_to_removing),
    (
        "an account is opened by mail and deleted",
        account::from_link_to_deletion,
    ),
    (
        "who did not ask gets no more mail",
        account::from_form_of_another_to_no_more_mail,
    ),
    ("a vote moves what is trending", reacting::vote_moves_trending),
    (
        "what is saved is there until it is taken out",
        reacting::save_and_take_out,
    ),
    ("everything by keyboard", keyboard::by_keyboard_alone),
    ("hostile papers are text", odd::hostile_papers),
    ("what cannot be is refused in words", odd::refusals),
];

/// What needs no screen.
pub const ONCE: &[(&str, Check)] = &[
    ("feeds are valid and hold what the pages hold", feeds::all_valid),
    (
        "who follows every link of a mail changes nothing",
        scanning::changes_nothing,
    ),
];
