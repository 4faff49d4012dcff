//! `envoy.extensions.transport_sockets.tls.v3`: what a peer has to prove. Certificates are the proxy's own business: the
//! control plane names them by the provider `default` and never sends one.

use envoy_types::pb::{
    envoy::{
        config::core::v3::{TransportSocket, transport_socket},
        extensions::transport_sockets::tls::v3::{
            CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext, DownstreamTlsContext,
            UpstreamTlsContext, common_tls_context::ValidationContextType, subject_alt_name_matcher::SanType,
        },
        r#type::matcher::v3::string_matcher::MatchPattern,
    },
    google::protobuf::Any,
};

use super::{
    fault::{Fault, Within, each},
    opened::open,
    shape::{Shape, WRAPPER, message, value},
};
use crate::{base::spiffe::SpiffeId, config::cluster::Security};

pub static TRANSPORT_SOCKET: Shape = Shape(&[value(1, "name"), value(3, "typed_config")]);
static UPSTREAM: Shape = Shape(&[message(1, "common_tls_context", &COMMON)]);
static DOWNSTREAM: Shape =
    Shape(&[message(1, "common_tls_context", &COMMON), message(2, "require_client_certificate", &WRAPPER)]);
static COMMON: Shape = Shape(&[
    message(3, "validation_context", &VALIDATION),
    message(14, "tls_certificate_provider_instance", &PROVIDER),
]);
static VALIDATION: Shape = Shape(&[
    message(13, "ca_certificate_provider_instance", &PROVIDER),
    message(15, "match_typed_subject_alt_names", &SAN),
]);
static PROVIDER: Shape = Shape(&[value(1, "instance_name")]);
static SAN: Shape = Shape(&[value(1, "san_type"), message(2, "matcher", &EXACT)]);
static EXACT: Shape = Shape(&[value(1, "exact")]);

/// What an endpoint has to prove; without a transport socket, nothing.
pub fn upstream(socket: Option<TransportSocket>) -> Result<Security, Fault> {
    let Some(socket) = socket else { return Ok(Security::Plaintext) };
    let Some(transport_socket::ConfigType::TypedConfig(any)) = socket.config_type else {
        return Err(Fault::missing("typed_config"));
    };
    let context: UpstreamTlsContext = open(&any, &UPSTREAM).within("typed_config")?;
    let validation = common(context.common_tls_context).within("typed_config.common_tls_context")?;
    let names = each("match_typed_subject_alt_names", validation.match_typed_subject_alt_names, |san| {
        if san.san_type != SanType::Uri as i32 {
            return Err(Fault::new("is not URI").within("san_type"));
        }
        match san.matcher.and_then(|matcher| matcher.match_pattern) {
            Some(MatchPattern::Exact(text)) => {
                SpiffeId::parse(&text).ok_or_else(|| Fault::new(format!("{text:?} is no identity of a mesh")))
            }
            _ => Err(Fault::missing("matcher.exact")),
        }
    });
    let names = names.within("typed_config.common_tls_context.validation_context")?;
    if names.is_empty() {
        // To Envoy, no names means anybody.
        let place = "typed_config.common_tls_context.validation_context.match_typed_subject_alt_names";
        return Err(Fault::new("names nobody").within(place));
    }
    Ok(Security::MutualTls(names.into()))
}

/// Refuses a context that does not ask callers for a certificate of the mesh.
pub fn downstream(any: &Any) -> Result<(), Fault> {
    let context: DownstreamTlsContext = open(any, &DOWNSTREAM)?;
    if !context.require_client_certificate.is_some_and(|required| required.value) {
        return Err(Fault::new("is not set").within("require_client_certificate"));
    }
    let validation = common(context.common_tls_context).within("common_tls_context")?;
    if !validation.match_typed_subject_alt_names.is_empty() {
        let place = "common_tls_context.validation_context.match_typed_subject_alt_names";
        return Err(Fault::new("who may call is for rules to say").within(place));
    }
    Ok(())
}

fn common(context: Option<CommonTlsContext>) -> Result<CertificateValidationContext, Fault> {
    let context = context.ok_or_else(|| Fault::new("is missing"))?;
    ours(context.tls_certificate_provider_instance.as_ref()).within("tls_certificate_provider_instance")?;
    let Some(ValidationContextType::ValidationContext(validation)) = context.validation_context_type else {
        return Err(Fault::missing("validation_context"));
    };
    ours(validation.ca_certificate_provider_instance.as_ref())
        .within("validation_context.ca_certificate_provider_instance")?;
    Ok(validation)
}

fn ours(provider: Option<&CertificateProviderPluginInstance>) -> Result<(), Fault> {
    match provider {
        Some(provider) if provider.instance_name == "default" => Ok(()),
        _ => Err(Fault::new("is not \"default\"").within("instance_name")),
    }
}
