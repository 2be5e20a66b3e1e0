# Sourced by steps that need the network: takes over how the building machine reaches package registries.
# The files are build secrets, each of which may be missing.
secrets=/run/secrets
if [ -s "$secrets/environment" ]; then
    . "$secrets/environment"
fi
if [ -s "$secrets/ca" ]; then
    export SSL_CERT_FILE="$secrets/ca" PIP_CERT="$secrets/ca" NPM_CONFIG_CAFILE="$secrets/ca" \
        NODE_EXTRA_CA_CERTS="$secrets/ca"
fi
if [ -s "$secrets/pip" ]; then
    export PIP_CONFIG_FILE="$secrets/pip"
fi
if [ -s "$secrets/npm" ]; then
    export NPM_CONFIG_USERCONFIG="$secrets/npm"
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
