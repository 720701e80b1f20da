import { DATE_TIME } from "./date-time.ts";
import type { Texts } from "./texts.ts";

/** The texts in Portuguese, as it is written in Brazil. */
export const PT: Texts = {
  language: "pt-BR",
  dateTime: (date) => `${date.toLocaleString("pt-BR", DATE_TIME)} UTC`,
  support: "Dúvidas? Escreva para",
  landing: {
    title: "Conecte sua conta do Gmail",
    body: (app) =>
      `Depois de conectar a conta, ${app} será avisado das mudanças na sua caixa de correio: mensagens novas, marcadores alterados e mensagens excluídas.`,
    control:
      "O Google mostra exatamente o que você vai permitir antes de você permitir. Você pode desconectar a qualquer momento, nesta página ou na sua Conta do Google.",
    button: "Continuar com o Google",
  },
  handover: {
    title: "Conecte sua conta do Gmail a um aplicativo",
    body: (app) =>
      `O aplicativo abaixo pede que você conecte uma conta do Gmail. Depois disso, ${app} será avisado das mudanças na sua caixa de correio.`,
    application: "Aplicativo",
    next: "O Google vai pedir que você escolha uma conta e permita o acesso. Depois, informaremos a este aplicativo o endereço de e-mail da conta que você escolheu.",
    stop: "Se você não conhece este aplicativo, ou não começou isto lá, feche esta página. Nada foi conectado.",
    button: "Continuar com o Google",
  },
  connected: {
    title: "Sua conta do Gmail está conectada",
    account: "Conta",
    syncedAt: "Em dia até",
    recovered(count) {
      if (count === 0) return "Você não perdeu nenhuma mudança.";
      return count === 1
        ? "Entregamos a única mudança que você tinha perdido."
        : `Entregamos as ${count.toLocaleString("pt-BR")} mudanças que você tinha perdido.`;
    },
    more: "Ainda há mudanças para entregar. Elas chegam em alguns minutos.",
    late: "As mudanças estão atrasadas: há algum tempo não conseguimos lê-las ou entregá-las. Vamos continuar tentando e entregar o que você perdeu. Você não precisa fazer nada.",
    unwatched: "As novas mudanças começam a chegar em breve.",
    close: "Você pode fechar esta página.",
    disconnect: "Desconectar",
    disconnectMeans: (app) =>
      `Se você desconectar, ${app} deixa de receber mudanças e o acesso à sua Conta do Google é revogado.`,
    disconnectLeaves: (app) =>
      `Se você desconectar, ${app} deixa de receber mudanças e nós apagamos nossas chaves da sua conta. Sua Conta do Google continua mostrando a permissão até você removê-la em myaccount.google.com/permissions.`,
  },
  reauthorize: {
    title: "Permita de novo o acesso à sua conta do Gmail",
    account: "Conta",
    body: "O Google não nos deixa mais ler as mudanças desta conta. Quando você permitir o acesso de novo, continuaremos de onde paramos e entregaremos o que você perdeu.",
    advice: {
      invalid_rapt:
        "Sua organização pede que as pessoas façam login de novo de tempos em tempos, então isto pode se repetir. Um administrador da sua organização pode mudar a frequência.",
      admin_policy_enforced:
        "Um administrador da sua organização decide se este serviço pode ter acesso. Se o Google não deixar você continuar, peça a ele que permita.",
      insufficient_scope: "Deixe todas as caixas marcadas na página do Google.",
    },
    weekly: "Se isto aparece toda semana, avise as pessoas que mantêm este serviço.",
    button: "Continuar com o Google",
  },
  unavailable: {
    title: "Não conseguimos ler esta conta do Gmail agora",
    body: "O Google informa que o Gmail não está disponível para esta conta. Vamos verificar de tempos em tempos e continuar de onde paramos assim que ele voltar. Se o Gmail deveria estar disponível, fale com um administrador da sua organização. Se ele já voltou a funcionar para você, não precisa esperar: continue abaixo.",
  },
  paused: {
    title: "Sua conta do Gmail está em pausa",
    account: "Conta",
    body: (app) =>
      `As pessoas que mantêm este serviço pausaram sua conta, então ${app} não recebe mudanças da sua caixa de correio por enquanto.`,
    rest: "Você não precisa fazer nada. Quando a pausa terminar, continuaremos de onde paramos e entregaremos o que você perdeu.",
  },
  disconnected: {
    title: "Sua conta do Gmail está desconectada",
    body: "Não recebemos mais nada sobre sua conta, e nosso acesso a ela foi revogado.",
    left: "Não recebemos mais nada sobre sua conta e apagamos nossas chaves. Sua Conta do Google ainda mostra a permissão que você deu. Você pode removê-la em myaccount.google.com/permissions.",
    again: "Conectar de novo",
  },
  erase: {
    link: "Apagar meus dados",
    title: "Apagar seus dados?",
    account: "Conta",
    body: (app) =>
      `Isto desconecta sua conta do Gmail de ${app}, revoga o acesso e apaga seu endereço de e-mail e tudo o mais que guardamos sobre sua caixa de correio. Não é possível desfazer.`,
    bodyLeft: (app) =>
      `Isto desconecta sua conta do Gmail de ${app} e apaga nossas chaves, seu endereço de e-mail e tudo o mais que guardamos sobre sua caixa de correio. Não é possível desfazer. Sua Conta do Google continua mostrando a permissão até você removê-la em myaccount.google.com/permissions.`,
    rest: "Não podemos apagar as mudanças que já entregamos. Avisaremos os serviços que as receberam que você quer seus dados apagados.",
    button: "Apagar tudo",
    keep: "Manter meus dados",
    done: {
      title: "Seus dados foram apagados",
      body: "Não guardamos mais nada sobre sua caixa de correio, e nosso acesso a ela foi revogado.",
      left: "Não guardamos mais nada sobre sua caixa de correio. Sua Conta do Google ainda mostra a permissão que você deu. Você pode removê-la em myaccount.google.com/permissions.",
    },
    underWay: {
      title: "Apagando seus dados",
      body: "Sua conta do Gmail está desconectada. Apagaremos o resto em até um dia. Você não precisa fazer nada.",
    },
  },
  again: "Tentar de novo",
  back: "Voltar ao aplicativo",
  home: "Ir para a página inicial",
  errors: {
    declined: {
      title: "Você não permitiu o acesso",
      body: "Nada foi conectado. Você pode tentar de novo quando quiser.",
    },
    domain_refused: {
      title: "Não é possível conectar esta conta aqui",
      body: "Aqui só é possível conectar contas de certas organizações, e esta não é uma delas. Nada foi conectado. Escolha a conta do Google da sua organização.",
    },
    administrator_decides: {
      title: "Sua organização decide sobre este app",
      body: "O Google informa que sua organização não permite que este app use sua conta do Gmail. Nada foi conectado. Peça a um administrador da sua organização que permita, ou escolha outra conta.",
    },
    google_refused: {
      title: "O Google não permitiu isto",
      body: "O Google recusou o pedido, e nada foi conectado. Se você abriu esta página dentro de outro app, abra-a no navegador. Se não adiantar, avise o app que trouxe você até aqui.",
    },
    scopes_missing: {
      title: "Falta uma permissão",
      body: "Precisamos de uma permissão que ficou desmarcada na página do Google, então nada foi conectado. Tente de novo e deixe todas as caixas marcadas.",
    },
    wrong_account: {
      title: "Essa era outra conta do Google",
      body: "Nada mudou. Na página do Google, escolha a conta para a qual este link foi feito.",
    },
    link_expired: {
      title: "Este link já foi usado ou expirou",
      body: "Se sua conta ainda precisa da sua permissão, abra o link mais recente que enviamos, ou conecte sua conta de novo.",
    },
    session_lost: {
      title: "Esta página expirou",
      body: "Talvez ela tenha ficado aberta por muito tempo, já tenha sido usada ou tenha sido aberta em outro navegador. Ela também precisa de cookies. Tente de novo.",
    },
    already_done: {
      title: "Você já fez este passo",
      body: "Não o fizemos uma segunda vez. A página inicial mostra como está sua conta.",
    },
    identity_refused: {
      title: "Não conseguimos verificar sua conta",
      body: "Não conseguimos verificar a resposta do Google, então nada foi conectado. Tente de novo.",
    },
    address_unverified: {
      title: "Seu endereço de e-mail não foi verificado",
      body: "O Google não verificou o endereço de e-mail desta conta, então não podemos conectá-la. Verifique-o na sua Conta do Google e tente de novo.",
    },
    mailbox_unavailable: {
      title: "Esta conta não tem caixa de correio do Gmail",
      body: "O Google informa que o Gmail não está disponível para esta conta, então nada foi conectado. Talvez um administrador da sua organização precise ativá-lo.",
    },
    try_later: {
      title: "Algo deu errado",
      body: "A culpa não é sua, e você não perdeu nada. Tente de novo em alguns minutos.",
    },
    busy: {
      title: "Muitos pedidos",
      body: "Recebemos muitos pedidos da sua rede. Espere um minuto e tente de novo.",
    },
    return_refused: {
      title: "Não sabemos aonde este link leva",
      body: "Ele levaria você a uma página que não conhecemos, então paramos aqui. Avise o app que trouxe você até aqui.",
    },
    ticket_refused: {
      title: "Este link não serve para conectar uma conta",
      body: "Links como este funcionam uma vez e só por dez minutos. Volte ao aplicativo que trouxe você até aqui e comece de novo por lá.",
    },
    not_found: {
      title: "Não encontramos esta página",
      body: "Verifique se há erros de digitação no endereço.",
    },
    forbidden: {
      title: "Este pedido não veio da nossa página",
      body: "Nada mudou. Vá para a nossa página inicial e tente de novo por lá.",
    },
  },
  notice: {
    subject: {
      first: (app) => `${app}: permita de novo o acesso à sua conta do Gmail`,
      reminder: (app) => `Lembrete de ${app}: permita de novo o acesso à sua conta do Gmail`,
      last: (app) => `Último lembrete de ${app}: permita de novo o acesso à sua conta do Gmail`,
    },
    body: (app, address) =>
      `O Google não deixa mais ${app} ler as mudanças de ${address}. Quando você permitir o acesso de novo, continuaremos de onde paramos e entregaremos o que você perdeu.`,
    button: "Permitir o acesso de novo",
    link: (host) =>
      `O link leva você a ${host} e, de lá, ao Google, onde você decide. Ele funciona uma vez, só para esta conta, e expira em sete dias. Só o Google pede sua senha.`,
    orNothing: (app) => `Se você não quer mais que ${app} tenha acesso, não precisa fazer nada.`,
    more: "Se ainda for necessário, lembraremos você em três dias e mais uma vez em uma semana. Depois, não escreveremos mais.",
    last: "Este é o último e-mail que enviamos sobre isto.",
    questions: "Dúvidas?",
  },
};
