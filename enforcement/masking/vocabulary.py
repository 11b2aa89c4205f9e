"""Words by which columns with personal data and secrets are named, in seven languages, without accents.

A phrase is written with spaces; names match it written together, in snake_case or in camelCase.
"""

from __future__ import annotations

# tag: (weight, phrases)
_SURE, _LIKELY, _MAYBE = 0.95, 0.8, 0.55

_BY_TAG: dict[str, tuple[tuple[float, str], ...]] = {
    "pii.email": (
        (_SURE, "email, e mail, mail address, email address, correo electronico, courriel, adresse mail, emailadresse, "
                "mailadresse, endereco email, indirizzo email, posta elettronica"),
        (_LIKELY, "mail, correo"),
    ),
    "pii.phone": (
        (_SURE, "phone, phone number, telephone, mobile number, mobile phone, cell phone, msisdn, telefon, "
                "telefonnummer, handynummer, mobilnummer, rufnummer, telefono, telefone, numero telefono, "
                "numero telephone, celular, telefoonnummer, mobiele nummer, whatsapp"),
        (_LIKELY, "fax, fax number, faxnummer, tel, cellphone, handy, portable, movil, cellulare, mobile"),
    ),
    "pii.name": (
        (_SURE, "first name, last name, full name, given name, family name, middle name, maiden name, surname, "
                "forename, nickname, person name, customer name, patient name, contact name, employee name, "
                "cardholder, card holder name, holder name, recipient name, beneficiary name, vorname, nachname, "
                "familienname, geburtsname, prenom, nom famille, nom complet, nombre completo, apellido, apellidos, "
                "primer nombre, sobrenome, nome completo, cognome, achternaam, voornaam"),
        (_LIKELY, "fname, lname, display name, real name, legal name"),
        (_MAYBE, "username, user name, login name"),
    ),
    "pii.address": (
        (_SURE, "street, street address, home address, postal address, mailing address, billing address, shipping "
                "address, delivery address, address line, address line 1, address line 2, address 1, address 2, "
                "strasse, hausnummer, anschrift, adresse, direccion, calle, domicilio, endereco, rua, indirizzo, via "
                "residenza, straat, huisnummer, adres"),
        (_LIKELY, "address, zip code, zip, zipcode, postcode, postal code, plz, postleitzahl, code postal, codigo "
                  "postal, cep, latitude, longitude, geolocation, gps"),
    ),
    "pii.birthdate": (
        (_SURE, "birthdate, birth date, date of birth, dob, birthday, birth day, born on, born at, geburtsdatum, "
                "geburtstag, date naissance, date de naissance, fecha nacimiento, fecha de nacimiento, data "
                "nascimento, data de nascimento, data nascita, data di nascita, geboortedatum"),
        (_LIKELY, "birth year, year of birth, geburtsjahr"),
    ),
    "pii.national_id": (
        (_SURE, "ssn, social security, social security number, national id, national identifier, national insurance "
                "number, nino, passport, passport number, passport no, driver license, drivers license, "
                "driver licence, "
                "driving licence, license number, tax id, taxpayer id, tin number, itin, id card number, identity "
                "number, steuernummer, steuer id, sozialversicherungsnummer, ausweisnummer, reisepassnummer, numero "
                "securite sociale, dni, nie, curp, rfc number, cpf, cnpj, codice fiscale, bsn, burgerservicenummer, "
                "aadhaar, aadhar, pesel, personnummer, sin number, social insurance number"),
        (_MAYBE, "nif, nss, passnummer"),
    ),
    "pii.card": (
        (_SURE, "card number, credit card, credit card number, cc number, card no, card num, cardnumber, pan number, "
                "primary account number, debit card, kartennummer, kreditkarte, kreditkartennummer, numero carte, "
                "carte bancaire, numero tarjeta, tarjeta credito, numero cartao, numero carta, creditcardnummer"),
        (_LIKELY, "cvv, cvc, cvv2, card cvc, card pan, pan, ccn, cc num"),
    ),
    "pii.iban": (
        (_SURE, "iban, bank account, bank account number, account iban, kontonummer, bankverbindung, compte bancaire, "
                "cuenta bancaria, conta bancaria, conto bancario, rekeningnummer, sort code, routing number, clabe"),
        (_LIKELY, "bic, swift code"),
        (_MAYBE, "account number, account no"),
    ),
    "pii.salary": (
        (_SURE, "salary, base salary, annual salary, wage, wages, gross pay, net pay, pay rate, compensation, bonus "
                "amount, gehalt, lohn, bruttogehalt, salaire, salario, sueldo, stipendio, remuneracao, salaris, loon"),
        (_LIKELY, "income, annual income, einkommen, renta, reddito"),
    ),
    "pii.health": (
        (_SURE, "diagnosis, diagnoses, icd code, icd10, blood type, blood group, medical record, mrn, medical history, "
                "prescription, allergies, disability, krankheit, krankenversicherungsnummer, diagnostico, blutgruppe"),
    ),
    "pii.sensitive": (
        (_SURE, "religion, ethnicity, ethnic origin, sexual orientation, political opinion, political party, "
                "union membership, marital status, konfession, familienstand, estado civil, stato civile"),
        (_LIKELY, "gender, sex, geschlecht, sexe, sexo, genero, sesso, geslacht, race, nationality, citizenship"),
    ),
    "pii.ip": (
        (_SURE, "ip address, ipaddress, ip addr, client ip, remote ip, remote addr, remote address, last ip, login ip, "
                "last login ip, user ip, source ip, mac address"),
        (_MAYBE, "ip"),
    ),
    "pii.biometric": ((_SURE, "fingerprint template, face embedding, face template, iris scan, "
    "voice print, biometric"),),
    "secret.password": (
        (_SURE, "password, passwd, pwd, password hash, passwordhash, hashed password, encrypted password, password "
                "digest, pass hash, passphrase, passwort, kennwort, mot de passe, contrasena, clave acceso, senha, "
                "wachtwoord, pin code, password salt"),
        (_LIKELY, "salt, pin, security answer, secret answer, totp secret, otp secret, mfa secret, recovery code, "
                  "recovery codes, backup codes"),
    ),
    "secret.token": (
        (_SURE, "api key, apikey, api secret, api token, access token, refresh token, auth token, "
                "session token, bearer "
                "token, id token, reset token, password reset token, confirmation token, verification token, remember "
                "token, invite token, csrf token, oauth token, webhook secret, client secret, secret key, "
                "secret access "
                "key, access key, access key id, key hash, token hash, jwt, session key, signing secret"),
        (_LIKELY, "token, secret, credential, credentials, session id"),
    ),
    "secret.key": (
        (_SURE, "private key, privatekey, encryption key, master key, ssh key, signing key, pgp key, data key, pem"),
    ),
}  # fmt: skip

PHRASES: dict[str, tuple[str, float]] = {}
for _tag, _groups in _BY_TAG.items():
    for _weight, _phrases in _groups:
        for _phrase in _phrases.split(","):
            _known = (_tag, _weight)
            PHRASES[_phrase.strip().replace(" ", "_")] = _known
            if len(_phrase.strip()) > 4:
                PHRASES.setdefault(_phrase.strip().replace(" ", ""), _known)

# Names that say little alone, and much in a table about people.
CONTEXTUAL: dict[str, str] = {
    "name": "pii.name", "nom": "pii.name", "nombre": "pii.name", "nome": "pii.name", "naam": "pii.name",
    "contact": "pii.name", "city": "pii.address", "ort": "pii.address", "wohnort": "pii.address",
    "ville": "pii.address", "ciudad": "pii.address", "notes": "pii", "comment": "pii", "comments": "pii", "bio": "pii",
}  # fmt: skip
PERSONAL_TABLES: frozenset[str] = frozenset(
    [
        "user",
        "customer",
        "client",
        "person",
        "people",
        "employee",
        "staff",
        "member",
        "patient",
        "contact",
        "subscriber",
        "applicant",
        "candidate",
        "student",
        "teacher",
        "profile",
        "account",
        "lead",
        "guest",
        "passenger",
        "driver",
        "tenant",
        "citizen",
        "resident",
        "doctor",
        "nurse",
        "worker",
        "friend",
        "family",
        "kunde",
        "kunden",
        "mitarbeiter",
        "person",
        "personen",
        "patienten",
        "benutzer",
        "utilisateur",
        "employe",
        "salarie",
        "usuario",
        "cliente",
        "empleado",
        "persona",
        "funcionario",
        "pessoa",
        "utente",
        "dipendente",
        "klant",
        "medewerker",
        "gebruiker",
    ]
)
# What follows a phrase and makes the column something about it.
ABOUT: frozenset[str] = frozenset(
    [
        "verified",
        "confirmed",
        "valid",
        "validated",
        "enabled",
        "disabled",
        "active",
        "status",
        "state",
        "type",
        "kind",
        "format",
        "count",
        "counts",
        "total",
        "opt",
        "optin",
        "optout",
        "subscribed",
        "consent",
        "preference",
        "preferences",
        "required",
        "sent",
        "opened",
        "bounced",
        "template",
        "templates",
        "subject",
        "policy",
        "expires",
        "expiry",
        "expired",
        "expiration",
        "changed",
        "updated",
        "created",
        "deleted",
        "at",
        "length",
        "version",
        "algorithm",
        "provider",
        "attempts",
        "retries",
        "last",
        "used",
        "usage",
        "quota",
        "limit",
        "scope",
        "scopes",
        "domain",
        "is",
        "has",
        "flag",
        "locale",
        "label",
        "description",
        "reason",
        "id",
        "ids",
        "fk",
        "ref",
        "currency",
        "grade",
        "band",
        "index",
    ]
)
# Kinds of types that can hold it; "" for tags not named.
_ANY = frozenset({"text", "json", "other"})
SUITS: dict[str, frozenset[str]] = {
    "": _ANY | {"binary", "uuid", "number"},
    "pii.email": _ANY,
    "pii.phone": _ANY | {"number"},
    "pii.name": _ANY,
    "pii.address": _ANY | {"number"},
    "pii.birthdate": _ANY | {"time", "number"},
    "pii.national_id": _ANY | {"number", "binary"},
    "pii.card": _ANY | {"number", "binary"},
    "pii.iban": _ANY | {"number", "binary"},
    "pii.salary": frozenset({"number", "text", "other"}),
    "pii.health": _ANY | {"number"},
    "pii.sensitive": _ANY | {"number"},
    "pii.ip": _ANY | {"network"},
    "pii.biometric": _ANY | {"binary"},
    "pii": _ANY,
}
