"""The faults that are common in cloud-configs, as data, and the keys that cloud-init's modules read."""

from __future__ import annotations

from typing import Final

from headwater.findings import Level, Rule

FIRST_LINE: Final = Rule(
    id="cloud-config-first-line",
    level=Level.ERROR,
    says="the first line is not '#cloud-config': cloud-init takes it for nothing",
    fix="write #cloud-config alone on the first line, without a space after #",
    source="cloud-init 22.4 and later: the type of user data is how it begins",
)
LOOSE_FIRST_LINE: Final = Rule(
    id="cloud-config-first-line-loose",
    level=Level.WARNING,
    says="the first line is not '#cloud-config' alone: cloud-init takes it, others do not",
    fix="write #cloud-config alone on the first line, in lower case, and nothing before it",
    source="cloud-init passes over white space and case; cloudbase-init compares the first bytes, and so do editors",
)
NOT_UTF_8: Final = Rule(
    id="cloud-config-encoding",
    level=Level.ERROR,
    says="it is not UTF-8 text",
    fix="save it as UTF-8; give bytes in write_files with encoding: b64",
    source="cloud-init decodes it as UTF-8",
)
LINE_ENDS: Final = Rule(
    id="cloud-config-crlf",
    level=Level.WARNING,
    says="lines end with CR LF: YAML reads it, tools that compare the first line with '#cloud-config' do not",
    fix="save it with the line ends of Unix",
    source="YAML 1.1 section 4.2 takes both; text in double quotes may keep a CR",
)
TABS: Final = Rule(
    id="cloud-config-tabs",
    level=Level.ERROR,
    says="the line is indented with a tab, which YAML forbids: cloud-init drops the whole cloud-config",
    fix="indent with spaces",
    source="YAML 1.1 section 5.1; cloud-init warns 'Failed loading yaml blob' and boots without it",
)
NOT_YAML: Final = Rule(
    id="cloud-config-yaml",
    level=Level.ERROR,
    says="it is not YAML: {problem}",
    fix="mend the line, or the one before it; quote texts that hold ': ' or begin with one of @ ` % & * ! | > [",
    source="cloud-init warns 'Failed loading yaml blob' and boots without it",
)
NOT_A_MAPPING: Final = Rule(
    id="cloud-config-no-mapping",
    level=Level.ERROR,
    says="at its top is {found}, not keys with values: cloud-init drops it",
    fix="write keys such as 'packages:' at the start of lines",
    source="cloud-init 22.4 and later take a mapping only",
)
EMPTY: Final = Rule(
    id="cloud-config-empty",
    level=Level.NOTE,
    says="it says nothing",
    fix="leave it out",
    source="cloud-init reads an empty cloud-config as none",
)
TWICE: Final = Rule(
    id="cloud-config-duplicate-key",
    level=Level.ERROR,
    says="the key {key!r} stands there before, in line {first}: what it says there is lost",
    fix="bring both under one key",
    source="PyYAML, with which cloud-init reads, keeps the last of equal keys and says nothing",
)
MISSPELT: Final = Rule(
    id="cloud-config-misspelt-key",
    level=Level.ERROR,
    says="no module of cloud-init reads the key {key!r}; {near!r} is one that is read",
    fix="write {near}, if that is meant",
    source="cloud-init passes over keys that no module asks for",
)
UNKNOWN: Final = Rule(
    id="cloud-config-unknown-key",
    level=Level.WARNING,
    says="no module of cloud-init reads the key {key!r}",
    fix="leave it out, unless a module of the image's own reads it",
    source="cloud-init passes over keys that no module asks for",
)
WRONG_TYPE: Final = Rule(
    id="cloud-config-type",
    level=Level.ERROR,
    says="it is {found}, and cloud-init takes {wanted}",
    fix="write it as {wanted}",
    source="cloud-init's modules; the module fails, and what it would have done is not done",
)
USER_WITHOUT_NAME: Final = Rule(
    id="cloud-config-user-without-name",
    level=Level.ERROR,
    says="the user has no name",
    fix="add name:",
    source="cloud-init's users: an entry without a name makes the whole list fail",
)
NO_DEFAULT_USER: Final = Rule(
    id="cloud-config-no-default-user",
    level=Level.NOTE,
    says="'default' is not among the users: the image's own user is not made, and keys of the metadata reach nobody",
    fix="add '- default' as the first of the users, or give each user its keys",
    source="cloud-init: users replaces the list of the image, in which default stands",
)
NO_KEY: Final = Rule(
    id="cloud-config-ssh-key",
    level=Level.ERROR,
    says="this is no public key as sshd reads one",
    fix="give one line such as 'ssh-ed25519 AAAA… user@host' for each key",
    source="sshd passes over lines of authorized_keys that it cannot read",
)
PRIVATE_KEY: Final = Rule(
    id="cloud-config-private-key",
    level=Level.ERROR,
    says="this is a private key, where a public one belongs",
    fix="give the line of the .pub file; take the private key for known to others",
    source="whoever reads the user data has it",
)
FILE_WITHOUT_PATH: Final = Rule(
    id="cloud-config-file-without-path",
    level=Level.ERROR,
    says="the file has no path: cloud-init passes over it",
    fix="add path:",
    source="cloud-init's write_files warns 'No path provided to write' and goes on",
)
FILE_NOT_ABSOLUTE: Final = Rule(
    id="cloud-config-file-relative",
    level=Level.WARNING,
    says="the path of the file does not begin with /: it lies wherever cloud-init happens to run",
    fix="write the whole path",
    source="cloud-init's write_files opens the path as it stands",
)
MODE_AS_NUMBER: Final = Rule(
    id="cloud-config-permissions",
    level=Level.WARNING,
    says="permissions are a number, which YAML reads as decimal unless it begins with 0",
    fix="write them in quotes: '0644'",
    source="cloud-init's write_files takes a number as the mode itself: 644 is 01204",
)
COMMAND_AS_MAPPING: Final = Rule(
    id="cloud-config-command",
    level=Level.ERROR,
    says="the command is {found}: YAML takes what stands before ': ' for a key",
    fix="put the whole command in single quotes, or write it as a list of words",
    source="cloud-init's runcmd and bootcmd take texts and lists; one entry of another type makes all of them fail",
)
REPLACED: Final = Rule(
    id="cloud-config-part-replaces",
    level=Level.WARNING,
    says="the key {key!r} stands in part {other} too: what this part says replaces all of it",
    fix="say it in one part, or add merge_how to this one, such as 'list(append)+dict(no_replace,recurse_list)+str()'",
    source="cloud-init 22.4.2 (run): parts are merged by dict(replace)+list()+str() unless they say otherwise",
)
UNDOCUMENTED: Final = Rule(
    id="cloud-config-form",
    level=Level.WARNING,
    says="it is {found}, and cloud-init's documentation has {wanted} there",
    fix="write it as {wanted}",
    source="the documentation of cloud-init's modules, 22.4 to 26.2; other forms differ by release",
)
BY_SCHEMA: Final = Rule(
    id="cloud-config-schema",
    level=Level.WARNING,
    says="cloud-init's own schema refuses it: {problem}",
    fix="write it as the schema of that release has it ('cloud-init schema --docs all')",
    source="the schema of the installed cloud-init, which warns of it since 22.2 and goes on",
)

RULES: Final = (
    *(
        FIRST_LINE,
        LOOSE_FIRST_LINE,
        NOT_UTF_8,
        LINE_ENDS,
        TABS,
        NOT_YAML,
        NOT_A_MAPPING,
        EMPTY,
        TWICE,
        MISSPELT,
        UNKNOWN,
        WRONG_TYPE,
    ),
    *(USER_WITHOUT_NAME, NO_DEFAULT_USER, NO_KEY, PRIVATE_KEY, FILE_WITHOUT_PATH, FILE_NOT_ABSOLUTE, MODE_AS_NUMBER),
    *(COMMAND_AS_MAPPING, REPLACED, UNDOCUMENTED, BY_SCHEMA),
)

# What modules of cloud-init 22.4 to 26.2 read at the top of a cloud-config, and what its core does.
KEYS: Final = frozenset(
    """
    allow_public_ssh_keys allow_userdata ansible apk_repos apt apt_pipelining apt_reboot_if_required apt_update
    apt_upgrade authkey_hash autoinstall bootcmd byobu_by_default ca-certs ca_certs chef chpasswd
    cloud_config_modules cloud_final_modules cloud_init_modules create_hostname_file datasource datasource_list
    debug def_log_file device_aliases disable_ec2_metadata disable_network_activation disable_root
    disable_root_opts disk_setup drivers fan final_message fqdn fs_setup groups growpart grub-dpkg grub_dpkg
    hostname keyboard landscape launch-index locale locale_configfile log_cfgs lxd manage_etc_hosts
    manage_resolv_conf mcollective merge_how merge_type migrate mount_default_fields mounts network
    no_ssh_fingerprints ntp output package_reboot_if_required package_update package_upgrade packages password
    phone_home power_state prefer_fqdn_over_hostname preserve_hostname puppet raspberry_pi random_seed reporting
    resize_rootfs resolv_conf rh_subscription rpi rsyslog runcmd salt_minion snap spacewalk ssh
    ssh_authorized_keys ssh_deletekeys ssh_fp_console_blacklist ssh_genkeytypes ssh_import_id
    ssh_key_console_blacklist ssh_keys ssh_publish_hostkeys ssh_pwauth ssh_quiet_keygen ssh_redirect_user swap
    syslog_fix_perms system_info timezone ubuntu_advantage ubuntu_pro updates user users vendor_data
    vendor_data2 version warnings wireguard write_files yum_repo_dir yum_repos zypper
    """.split()  # noqa: SIM905 - a name on each line would be a hundred lines
)
