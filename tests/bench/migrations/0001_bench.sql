-- What the measured consumers keep: the last message of each conversation.
create table bench_conversation (
    conversation_id text primary key,
    messages bigint not null,
    last_event_id text not null,
    last_text text not null
);
