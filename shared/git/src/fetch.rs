//! Transfers objects: says what is wanted and what is there already, and writes the pack that comes back.

use std::num::NonZeroU32;

use gix::{
    ObjectId,
    odb::pack,
    progress::Discard,
    protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags, negotiate},
};

use crate::{
    error::{Error, Result},
    limit::Limit,
    mirror::{MAX_OBJECT_BYTES, Paths},
    session::{AGENT, Session},
};

/// What one fetch transfers.
pub(crate) struct Wanted {
    /// Commits or tag objects.
    pub(crate) wants: Vec<ObjectId>,
    /// Commits whose trees are here completely.
    pub(crate) haves: Vec<ObjectId>,
    /// Only the wanted commits, or their whole history.
    pub(crate) depth: Depth,
}

/// See [`Wanted::depth`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    One,
    Full,
}

/// Fetches what `wanted` says into the object database at `paths`.
pub(crate) fn fetch(session: &mut Session, paths: &Paths, mut wanted: Wanted, limit: &Limit) -> Result<()> {
    let interrupt = limit.interrupt(session.runtime());
    paths.clean()?;
    let objects = paths.open()?;
    let pack_dir = paths.packs();
    let shallow = match wanted.depth {
        Depth::One => Shallow::DepthAtRemote(NonZeroU32::MIN),
        Depth::Full => Shallow::NoChange,
    };
    let options = Options {
        shallow_file: paths.shallow(),
        shallow: &shallow,
        tags: Tags::None,
        reject_shallow_remote: false,
    };
    let write = pack::bundle::write::Options {
        // Two fetches run at once by default, and the machine has other work.
        thread_limit: Some(1),
        alloc_limit_bytes: Some(MAX_OBJECT_BYTES),
        ..Default::default()
    };
    let context = Context {
        handshake: &mut session.handshake,
        transport: &mut session.transport,
        user_agent: (AGENT.0, AGENT.1.map(Into::into)),
        trace_packetlines: false,
    };
    let mut kept = None;
    let result = gix::protocol::fetch(
        &mut wanted,
        |pack, progress, interrupted| {
            let written = pack::Bundle::write_to_directory(
                pack,
                Some(&pack_dir),
                progress,
                interrupted,
                Some(objects.clone()),
                gix::hash::Kind::Sha1,
                write,
            )?;
            kept = written.keep_path;
            Ok(true)
        },
        Discard,
        &interrupt.flag,
        context,
        options,
    );
    if let Some(kept) = kept {
        // Protects the pack from a concurrent `git gc`, which nobody runs here.
        let _ = std::fs::remove_file(kept);
    }
    match result {
        Ok(_) => Ok(()),
        Err(error) => {
            // Indexing polls the interrupt, and reports it in its own words.
            limit.check(&format!("fetching from '{}'", session.repository()))?;
            Err(refused(session.explain(&error), &wanted))
        }
    }
}

/// Servers say "not our ref" when they do not have, or do not hand out, an object.
fn refused(error: Error, wanted: &Wanted) -> Error {
    match (error, wanted.wants.first()) {
        (Error::Protocol { url, detail }, Some(commit))
            if ["not our ref", "unadvertised object", "not a valid object"]
                .iter()
                .any(|words| detail.contains(words)) =>
        {
            Error::CommitNotFound { commit: commit.to_string(), url, detail }
        }
        (error, _) => error,
    }
}

impl Negotiate for Wanted {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<negotiate::Action> {
        Ok(negotiate::Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        for id in &self.wants {
            arguments.want(id);
        }
        !self.wants.is_empty()
    }

    /// One round: all haves at once, they are few.
    fn one_round(
        &mut self,
        _state: &mut negotiate::one_round::State,
        arguments: &mut Arguments,
        _previous: Option<&Response>,
    ) -> gix::Result<(negotiate::Round, bool)> {
        for id in &self.haves {
            arguments.have(id);
        }
        let round = negotiate::Round {
            haves_sent: self.haves.len(),
            in_vain: 0,
            haves_to_send: self.haves.len(),
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}
