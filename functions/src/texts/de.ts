import { DATE_TIME } from "./date-time.ts";
import type { Texts } from "./texts.ts";

/** The texts in German. */
export const DE: Texts = {
  language: "de",
  dateTime: (date) => `${date.toLocaleString("de-DE", DATE_TIME)} UTC`,
  support: "Fragen? Schreiben Sie an",
  landing: {
    title: "Gmail-Konto verbinden",
    body: (app) =>
      `Sobald Sie Ihr Konto verbinden, erfährt ${app} von Änderungen in Ihrem Postfach: von neuen Nachrichten, geänderten Labels und gelöschten Nachrichten.`,
    control:
      "Google zeigt Ihnen genau, was Sie erlauben, bevor Sie es erlauben. Sie können die Verbindung jederzeit trennen: auf dieser Seite oder in Ihrem Google-Konto.",
    button: "Weiter mit Google",
  },
  handover: {
    title: "Gmail-Konto mit einer Anwendung verbinden",
    body: (app) =>
      `Die unten genannte Anwendung bittet Sie, ein Gmail-Konto zu verbinden. ${app} erfährt dann von Änderungen in Ihrem Postfach.`,
    application: "Anwendung",
    next: "Google bittet Sie, ein Konto auszuwählen und den Zugriff zu erlauben. Danach teilen wir dieser Anwendung die E-Mail-Adresse des Kontos mit.",
    stop: "Wenn Sie diese Anwendung nicht kennen oder dort nichts angefangen haben, schließen Sie diese Seite. Es wurde nichts verbunden.",
    button: "Weiter mit Google",
  },
  connected: {
    title: "Ihr Gmail-Konto ist verbunden",
    account: "Konto",
    syncedAt: "Auf dem Stand vom",
    recovered(count) {
      if (count === 0) return "Sie haben keine Änderung verpasst.";
      return count === 1
        ? "Wir haben die eine verpasste Änderung nachgeliefert."
        : `Wir haben die ${count.toLocaleString("de-DE")} verpassten Änderungen nachgeliefert.`;
    },
    more: "Es gibt weitere Änderungen. Sie folgen in wenigen Minuten.",
    late: "Änderungen kommen verspätet: Wir konnten sie seit einiger Zeit nicht lesen oder liefern. Wir versuchen es weiter und liefern nach, was Sie verpasst haben. Sie müssen nichts tun.",
    unwatched: "Neue Änderungen kommen in Kürze an.",
    close: "Sie können diese Seite schließen.",
    disconnect: "Verbindung trennen",
    disconnectMeans: (app) =>
      `Wenn Sie die Verbindung trennen, erhält ${app} keine Änderungen mehr, und der Zugriff auf Ihr Google-Konto wird widerrufen.`,
    disconnectLeaves: (app) =>
      `Wenn Sie die Verbindung trennen, erhält ${app} keine Änderungen mehr, und wir löschen unsere Schlüssel zu Ihrem Konto. Ihr Google-Konto führt die Berechtigung weiter auf, bis Sie sie unter myaccount.google.com/permissions entfernen.`,
  },
  reauthorize: {
    title: "Erlauben Sie den Zugriff auf Ihr Gmail-Konto erneut",
    account: "Konto",
    body: "Google lässt uns keine Änderungen in diesem Konto mehr lesen. Sobald Sie den Zugriff wieder erlauben, machen wir dort weiter, wo wir aufgehört haben, und liefern nach, was Sie verpasst haben.",
    advice: {
      invalid_rapt:
        "Ihre Organisation verlangt, dass man sich von Zeit zu Zeit neu anmeldet. Sie müssen das also vielleicht wiederholen. Wie oft, kann die Administration Ihrer Organisation ändern.",
      admin_policy_enforced:
        "Die Administration Ihrer Organisation entscheidet, ob dieser Dienst Zugriff haben darf. Wenn Google Sie nicht weiterlässt, bitten Sie dort um Erlaubnis.",
      insufficient_scope: "Bitte lassen Sie auf der Seite von Google alle Kästchen angekreuzt.",
    },
    weekly:
      "Wenn Sie diese Seite jede Woche sehen, sagen Sie bitte den Betreibern dieses Dienstes Bescheid.",
    button: "Weiter mit Google",
  },
  unavailable: {
    title: "Wir können dieses Gmail-Konto gerade nicht lesen",
    body: "Google meldet, dass Gmail für dieses Konto nicht verfügbar ist. Wir sehen von Zeit zu Zeit nach und machen dort weiter, wo wir aufgehört haben, sobald es wieder geht. Wenn Gmail verfügbar sein sollte, fragen Sie die Administration Ihrer Organisation. Wenn es bei Ihnen schon wieder funktioniert, müssen Sie nicht warten: Machen Sie unten weiter.",
  },
  paused: {
    title: "Ihr Gmail-Konto ist angehalten",
    account: "Konto",
    body: (app) =>
      `Die Betreiber dieses Dienstes haben Ihr Konto angehalten. ${app} erhält deshalb vorerst keine Änderungen aus Ihrem Postfach.`,
    rest: "Sie müssen nichts tun. Sobald es weitergeht, machen wir dort weiter, wo wir aufgehört haben, und liefern nach, was Sie verpasst haben.",
  },
  disconnected: {
    title: "Die Verbindung zu Ihrem Gmail-Konto ist getrennt",
    body: "Wir erhalten nichts mehr über Ihr Konto, und unser Zugriff darauf ist widerrufen.",
    left: "Wir erhalten nichts mehr über Ihr Konto und haben unsere Schlüssel dazu gelöscht. Ihr Google-Konto führt die Berechtigung noch auf. Sie können sie unter myaccount.google.com/permissions entfernen.",
    again: "Wieder verbinden",
  },
  erase: {
    link: "Meine Daten löschen",
    title: "Ihre Daten löschen?",
    account: "Konto",
    body: (app) =>
      `Damit trennen Sie Ihr Gmail-Konto von ${app}, der Zugriff wird widerrufen, und wir löschen Ihre E-Mail-Adresse und alles andere, was wir über Ihr Postfach gespeichert haben. Das lässt sich nicht rückgängig machen.`,
    bodyLeft: (app) =>
      `Damit trennen Sie Ihr Gmail-Konto von ${app}, und wir löschen unsere Schlüssel dazu, Ihre E-Mail-Adresse und alles andere, was wir über Ihr Postfach gespeichert haben. Das lässt sich nicht rückgängig machen. Ihr Google-Konto führt die Berechtigung weiter auf, bis Sie sie unter myaccount.google.com/permissions entfernen.`,
    rest: "Änderungen, die wir schon geliefert haben, können wir nicht löschen. Wir sagen den Diensten, die sie erhalten haben, dass Ihre Daten gelöscht werden sollen.",
    button: "Alles löschen",
    keep: "Meine Daten behalten",
    done: {
      title: "Ihre Daten sind gelöscht",
      body: "Wir haben nichts mehr über Ihr Postfach gespeichert, und unser Zugriff darauf ist widerrufen.",
      left: "Wir haben nichts mehr über Ihr Postfach gespeichert. Ihr Google-Konto führt die Berechtigung noch auf. Sie können sie unter myaccount.google.com/permissions entfernen.",
    },
    underWay: {
      title: "Ihre Daten werden gelöscht",
      body: "Die Verbindung zu Ihrem Gmail-Konto ist getrennt. Den Rest löschen wir innerhalb eines Tages. Sie müssen nichts tun.",
    },
  },
  again: "Noch einmal versuchen",
  back: "Zurück zur Anwendung",
  home: "Zur Startseite",
  errors: {
    declined: {
      title: "Sie haben den Zugriff nicht erlaubt",
      body: "Es wurde nichts verbunden. Sie können es jederzeit noch einmal versuchen.",
    },
    domain_refused: {
      title: "Dieses Konto können Sie hier nicht verbinden",
      body: "Hier lassen sich nur Konten bestimmter Organisationen verbinden, und dieses gehört nicht dazu. Es wurde nichts verbunden. Bitte wählen Sie das Google-Konto Ihrer Organisation.",
    },
    administrator_decides: {
      title: "Ihre Organisation entscheidet über diese App",
      body: "Google meldet, dass Ihre Organisation dieser App keinen Zugriff auf Ihr Gmail-Konto erlaubt. Es wurde nichts verbunden. Bitten Sie die Administration Ihrer Organisation um Erlaubnis, oder wählen Sie ein anderes Konto.",
    },
    google_refused: {
      title: "Google hat das nicht erlaubt",
      body: "Google hat die Anfrage abgelehnt. Es wurde nichts verbunden. Wenn Sie diese Seite in einer anderen App geöffnet haben, öffnen Sie sie stattdessen in Ihrem Browser. Wenn das nicht hilft, sagen Sie bitte in der App Bescheid, die Sie hierher geschickt hat.",
    },
    scopes_missing: {
      title: "Eine Berechtigung fehlt",
      body: "Wir brauchen eine Berechtigung, die auf der Seite von Google nicht angekreuzt war. Es wurde nichts verbunden. Bitte versuchen Sie es noch einmal und lassen Sie alle Kästchen angekreuzt.",
    },
    wrong_account: {
      title: "Das war ein anderes Google-Konto",
      body: "Es hat sich nichts geändert. Bitte wählen Sie auf der Seite von Google das Konto, für das dieser Link bestimmt ist.",
    },
    link_expired: {
      title: "Dieser Link wurde schon benutzt oder ist abgelaufen",
      body: "Wenn wir für Ihr Konto noch Ihre Erlaubnis brauchen, öffnen Sie den neuesten Link, den wir Ihnen geschickt haben, oder verbinden Sie Ihr Konto noch einmal.",
    },
    session_lost: {
      title: "Diese Seite ist abgelaufen",
      body: "Vielleicht war sie zu lange offen, wurde schon benutzt oder in einem anderen Browser geöffnet. Außerdem braucht sie Cookies. Bitte versuchen Sie es noch einmal.",
    },
    already_done: {
      title: "Diesen Schritt haben Sie schon erledigt",
      body: "Wir haben ihn nicht wiederholt. Auf der Startseite sehen Sie, wie es um Ihr Konto steht.",
    },
    identity_refused: {
      title: "Wir konnten Ihr Konto nicht prüfen",
      body: "Wir konnten die Antwort von Google nicht prüfen. Es wurde nichts verbunden. Bitte versuchen Sie es noch einmal.",
    },
    address_unverified: {
      title: "Ihre E-Mail-Adresse ist nicht bestätigt",
      body: "Google hat die E-Mail-Adresse dieses Kontos nicht bestätigt, deshalb können wir es nicht verbinden. Bestätigen Sie sie in Ihrem Google-Konto und versuchen Sie es dann noch einmal.",
    },
    mailbox_unavailable: {
      title: "Dieses Konto hat kein Gmail-Postfach",
      body: "Google meldet, dass Gmail für dieses Konto nicht verfügbar ist. Es wurde nichts verbunden. Vielleicht muss die Administration Ihrer Organisation es erst einschalten.",
    },
    try_later: {
      title: "Etwas hat nicht geklappt",
      body: "Es liegt nicht an Ihnen, und Sie haben nichts verloren. Bitte versuchen Sie es in ein paar Minuten noch einmal.",
    },
    busy: {
      title: "Zu viele Anfragen",
      body: "Aus Ihrem Netz kamen zu viele Anfragen. Bitte warten Sie eine Minute und versuchen Sie es dann noch einmal.",
    },
    return_refused: {
      title: "Wir wissen nicht, wohin dieser Link führt",
      body: "Er würde Sie zu einer Seite weiterleiten, die wir nicht kennen. Deshalb geht es hier nicht weiter. Sagen Sie bitte in der App Bescheid, die Sie hierher geschickt hat.",
    },
    ticket_refused: {
      title: "Mit diesem Link können Sie kein Konto verbinden",
      body: "Solche Links gelten einmal und nur zehn Minuten lang. Bitte gehen Sie zurück zu der Anwendung, die Sie hierher geschickt hat, und fangen Sie dort neu an.",
    },
    not_found: {
      title: "Wir finden diese Seite nicht",
      body: "Bitte prüfen Sie die Adresse auf Tippfehler.",
    },
    forbidden: {
      title: "Diese Anfrage kam nicht von unserer Seite",
      body: "Es hat sich nichts geändert. Bitte gehen Sie zu unserer Startseite und versuchen Sie es dort noch einmal.",
    },
  },
  notice: {
    subject: {
      first: (app) => `${app}: Erlauben Sie den Zugriff auf Ihr Gmail-Konto erneut`,
      reminder: (app) =>
        `Erinnerung von ${app}: Erlauben Sie den Zugriff auf Ihr Gmail-Konto erneut`,
      last: (app) =>
        `Letzte Erinnerung von ${app}: Erlauben Sie den Zugriff auf Ihr Gmail-Konto erneut`,
    },
    body: (app, address) =>
      `Google lässt ${app} keine Änderungen in ${address} mehr lesen. Sobald Sie den Zugriff wieder erlauben, machen wir dort weiter, wo wir aufgehört haben, und liefern nach, was Sie verpasst haben.`,
    button: "Zugriff wieder erlauben",
    link: (host) =>
      `Der Link führt Sie zu ${host} und von dort zu Google, wo Sie entscheiden. Er gilt einmal, nur für dieses Konto und sieben Tage lang. Nur Google fragt nach Ihrem Passwort.`,
    orNothing: (app) => `Wenn ${app} keinen Zugriff mehr haben soll, müssen Sie nichts tun.`,
    more: "Falls es dann noch nötig ist, erinnern wir Sie in drei Tagen und noch einmal in einer Woche. Danach ist Schluss.",
    last: "Das ist die letzte E-Mail, die wir Ihnen dazu schicken.",
    questions: "Fragen?",
  },
};
